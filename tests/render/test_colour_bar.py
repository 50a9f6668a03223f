"""Bars that say what colours stand for, outlines on their scale, and figures as files."""

from __future__ import annotations

import itertools
import re
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from explainers.errors import OptionError
from explainers.render import Style, colours, contact_sheet, figure, outlined, overlay, scale_of
from explainers.render.charts import Trace, line_panels
from explainers.render.colour_bar import BAR, TIP, Scale, draw_bar
from explainers.render.drawing import FORMATS, checked_format, save_figure
from explainers.render.sheet import EMPTY, GAP, LINE, SCALE, folded
from explainers.render.style import DIVERGING, SEQUENTIAL


def ramp(low: float, high: float) -> np.ndarray:
    return np.linspace(low, high, 1200, dtype=np.float32).reshape(30, 40)


def test_a_scale_has_the_ends_that_the_colours_have():
    flat = ramp(0.25, 0.75)
    assert scale_of(flat, Style(limits=(0.0, 1.0))) == Scale(0.0, 1.0, SEQUENTIAL)
    own = scale_of(flat)
    assert (own.low, own.below, own.above) == (0.25, False, True)  # the strongest half percent lies beyond
    assert own.high == pytest.approx(np.quantile(flat, 0.995, method="higher"))
    signed = scale_of(ramp(-2, 1), Style(limits=(-2, 1), outline=0.5))
    assert signed == Scale(-2, 2, DIVERGING, mark=1.0)
    assert scale_of(ramp(0, 1), Style(limits=(0.2, 0.6), outline=0.5)).mark == pytest.approx(0.4)
    assert scale_of(ramp(-1, 1), Style(limits=(0.0, 0.5), signed=False)) == Scale(0.0, 0.5, SEQUENTIAL, True, True)
    assert scale_of(ramp(0, 1), Style("turbo", limits=(0, 1))).cmap == "turbo"
    assert scale_of(np.zeros((3, 4))) is None
    assert scale_of(np.zeros((3, 4, 4))) is None


@pytest.mark.parametrize(
    ("low", "high", "numbers"),
    [
        (0.0, 1.0, ("0", "0.5", "1")),
        (8.16e-5, 0.117, ("0", "0.059", "0.117")),
        (-0.0953, 0.0953, ("−0.0953", "0", "0.0953")),
        (0.0564, 0.3634, ("0.056", "0.21", "0.363")),
        (1000.0, 123456.0, ("1e+03", "6.2e+04", "1.23e+05")),
    ],
)
def test_numbers_have_three_digits_of_the_larger_end(low, high, numbers):
    assert Scale(low, high, "inferno").numbers == numbers


@pytest.mark.parametrize("high", [1.0, 0.00122, 1.36e-5])
@pytest.mark.parametrize("width", [60, 75, 112, 224])
def test_numbers_below_a_bar_do_not_touch(high, width):
    font = SimpleNamespace(getlength=lambda text: 6.0 * len(text))
    found = []
    draw = SimpleNamespace(line=lambda *_, **__: None, text=lambda place, text, **_: found.append((place[0], text)))
    draw_bar(draw, Scale(0.0, high, "inferno"), (0, 0), width, font)
    assert len(found) in (2, 3)
    assert len(found) == 3 or width < 224
    for (left, text), (right, _) in itertools.pairwise(found):
        assert left + 6 * len(text) + 5 <= right


def test_a_sheet_has_the_bar_below_the_picture_and_the_caption_above():
    picture = np.random.default_rng(0).integers(0, 200, (60, 100, 3), dtype=np.uint8)
    scale = Scale(0.0, 2.0, "viridis", above=True)
    sheet = contact_sheet([[("photo\nof something", picture), ("map", picture, scale)]], cell=100)
    assert sheet.shape == (GAP + 2 * LINE + 60 + SCALE + GAP, 2 * (100 + GAP) + GAP, 3)
    top = GAP + 2 * LINE
    for left in (GAP, 2 * GAP + 100):  # not a pixel of the picture is covered
        assert np.array_equal(sheet[top : top + 60, left : left + 100], picture)
    left, bar = 2 * GAP + 100, sheet[top + 60 + 4 + BAR // 2]
    assert np.array_equal(bar[left], colours("viridis")[0])
    assert np.array_equal(bar[left + 99 - TIP], colours("viridis")[255])
    assert np.array_equal(bar[left + 99 - 1], colours("viridis")[255])  # its end is a point
    assert (sheet[top + 60 + 4, left + 98 : left + 100] == 255).all()
    middle = left + round((99 - TIP) / 2)
    assert np.abs(bar[middle].astype(int) - colours("viridis")[127]).max() <= 3
    assert (bar[GAP : GAP + 100] == 255).all()  # the photo has none
    numbers = sheet[top + 60 + 4 + BAR + 1 : top + 60 + SCALE, left : left + 100].min(axis=(0, 2))
    assert (numbers < 128).any()


def test_a_row_is_as_high_as_its_highest_picture_and_empty_cells_take_no_place():
    wide, high = np.zeros((20, 100, 3), np.uint8), np.zeros((100, 50, 3), np.uint8)
    sheet = contact_sheet(
        [[("a", wide), ("b", wide)], [("c", wide), ("d", high)], [("e", wide), ("", EMPTY)]], cell=100
    )
    assert sheet.shape[0] == GAP + 3 * (LINE + GAP) + 20 + 100 + 20
    single = np.zeros((1, 1, 3), np.uint8)  # a photo of one pixel is a picture
    assert contact_sheet([[("a", single)]], cell=50).shape[0] == GAP + LINE + GAP + 50


def test_a_long_row_is_folded_into_rows_of_one_length():
    rows = folded([(str(number), EMPTY) for number in range(9)])
    assert [len(row) for row in rows] == [5, 4]
    assert [caption for row in rows for caption, _ in row] == list("012345678")
    assert [len(row) for row in folded([("a", EMPTY)] * 8)] == [8]


def test_a_figure_has_a_bar_for_each_scale_and_captions_that_fit():
    photo = np.zeros((30, 40, 3), np.uint8)
    long = "a caption that is much longer than the picture below it is wide, so that it would reach its neighbour"
    scale = Scale(-1.0, 1.0, DIVERGING, below=True, mark=0.5)
    made = figure([[(long, photo), ("map", photo, scale)]])
    assert len(made.axes) == 2
    first, second = made.axes
    assert not first.child_axes
    (bar,) = second.child_axes
    assert [label.get_text() for label in bar.get_xticklabels()] == ["−1", "0", "1"]
    canvas = FigureCanvasAgg(made)
    canvas.draw()
    renderer = canvas.get_renderer()
    texts = [axis._left_title.get_window_extent(renderer) for axis in made.axes]
    assert texts[0].x1 <= texts[1].x0
    for text, axis in zip(texts, made.axes, strict=True):
        assert text.y0 >= axis.get_window_extent(renderer).y1  # above its picture, not on it
    assert bar.get_window_extent(renderer).y1 <= second.get_window_extent(renderer).y0


@pytest.mark.parametrize("kind", FORMATS)
def test_a_figure_is_saved_as_the_same_file_each_time_with_text_as_text(kind, tmp_path):
    def made():
        values = np.linspace(0, 1, 5)
        return line_panels({"deletion": [Trace("grad-cam", values), Trace("rise", values**2)]}, list(range(5)))

    def sheet():
        photo = np.full((30, 40, 3), 90, np.uint8)
        return figure([[("photo", photo), ("grad-cam", photo, Scale(0.0, 0.25, SEQUENTIAL))]])

    for number, draw in enumerate((made, sheet)):
        paths = [tmp_path / f"{number}-{each}.{kind}" for each in (0, 1)]
        save_figure(draw(), paths[0])
        draw().savefig(paths[1])  # as a user does it
        assert paths[0].read_bytes() == paths[1].read_bytes()
    if kind == "svg":
        text = (tmp_path / "1-0.svg").read_text()
        assert ">grad-cam</text>" in text
        assert ">0.125</text>" in text
        assert "<dc:date>" not in text
        assert not re.search(r"<use [^>]*#DejaVu", text)  # no letter is drawn as a path
    if kind == "pdf":
        assert b"/CreationDate" not in (tmp_path / "0-0.pdf").read_bytes()


def test_a_format_that_is_none_is_refused():
    with pytest.raises(OptionError, match="figures='gif'; expected png, svg or pdf"):
        checked_format("gif")


def test_an_outline_is_around_what_lies_above_its_share_of_the_scale():
    photo = np.full((40, 60, 3), 80, np.uint8)
    map_ = np.zeros((40, 60), np.float32)
    map_[10:30, 20:40] = 0.6
    map_[14:20, 24:30] = 1.0
    plain = overlay(photo, map_, style=Style(limits=(0, 1)))
    drawn = overlay(photo, map_, style=Style(limits=(0, 1), outline=0.5))
    assert np.array_equal(drawn, outlined(plain, map_ >= 0.5))
    assert np.array_equal(overlay(photo, map_, style=Style(limits=(0, 1), outline=0.7)), outlined(plain, map_ >= 0.7))
    signed = overlay(photo, -map_, style=Style(outline=0.5))
    assert np.array_equal(signed, overlay(photo, -map_))  # nothing is above half of the upper end
    nothing = np.zeros((4, 4), np.float32)
    assert np.array_equal(overlay(photo, nothing, style=Style(outline=0.5)), photo)
    for wrong in (0, -0.1, 1.1):
        with pytest.raises(OptionError, match="expected a share of the scale"):
            Style(outline=wrong)


def test_an_outline_lies_where_the_map_lies_in_the_photo():
    photo, map_ = np.full((40, 60, 3), 80, np.uint8), np.ones((10, 10), np.float32)
    map_[0] = 0
    box = (5, 10, 25, 30)
    style = Style(limits=(0, 1), outline=0.5)
    drawn, plain = (overlay(photo, map_, box=box, style=each) for each in (style, Style(limits=(0, 1))))
    changed = np.argwhere((drawn != plain).any(axis=-1))
    assert changed.min(axis=0).tolist() == [7, 10]  # the first row of the map's two is at 0, the next above a half
    assert changed.max(axis=0).tolist() == [24, 29]


@pytest.mark.parametrize("sides", [(360, 120), (500, 20), (120, 360)])
def test_captions_and_numbers_of_narrow_pictures_stay_in_their_cells(sides):
    photo = np.zeros((*sides, 3), np.uint8)
    scale = Scale(-0.00142, 0.00142, DIVERGING)
    made = figure([[("a caption that is as wide as its cell " * 2, photo, scale)] * 3])
    FigureCanvasAgg(made).draw()
    captions = [axis._left_title.get_window_extent() for axis in made.axes]
    for one, other in itertools.pairwise(captions):
        assert one.x1 <= other.x0 + 1
    assert captions[0].x0 >= 0
    assert captions[-1].x1 <= made.bbox.x1
    for axis in made.axes:
        numbers = [each.get_window_extent() for each in axis.child_axes[0].get_xticklabels()]
        assert len(numbers) == 3
        for one, other in itertools.pairwise(numbers):
            assert one.x1 < other.x0
