"""Pictures: what is blended where, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from explainers.data.images.write import write_animation
from explainers.errors import ImageError, OptionError
from explainers.render import Style, colours, contact_sheet, figure, gradient_picture, heat_map, overlay
from explainers.render.charts import Trace, line_panels
from explainers.render.sheet import side_by_side


def gray(height=20, width=30, value=100):
    return np.full((height, width, 3), value, np.uint8)


def test_nothing_found_leaves_the_photo_and_the_strongest_place_has_the_opacity():
    map_ = np.zeros((20, 30), np.float32)
    assert np.array_equal(overlay(gray(), map_), gray())
    map_[4, 5:9] = 2.0
    style = Style(cmap="viridis", opacity=0.6)
    picture = overlay(gray(), map_, style=style)
    expected = np.round(100 + 0.6 * (colours("viridis")[255].astype(float) - 100))
    assert np.array_equal(picture[4, 5], expected)
    assert np.array_equal(np.delete(picture, 4, axis=0), np.delete(gray(), 4, axis=0))


def test_a_flat_opacity_tints_the_whole_photo():
    map_ = np.zeros((20, 30), np.float32)
    map_[0, :9] = 1
    picture = overlay(gray(), map_, style=Style(cmap="viridis", opacity=1, fade=False))
    assert np.array_equal(picture[10, 10], colours("viridis")[0])


def test_the_map_lies_in_its_box_and_the_rest_is_darkened():
    map_ = np.ones((4, 4), np.float32)
    map_[0, 0] = 0
    picture = overlay(gray(), map_, box=(5, 10, 15, 20), style=Style(opacity=0))
    assert picture[6, 11].tolist() == [100, 100, 100]
    assert picture[2, 2].tolist() == [35, 35, 35]
    assert picture[5:15, 10:20].min() == 100


def test_a_box_beyond_the_photo_shows_its_part_of_the_map():
    map_ = np.zeros((40, 40), np.float32)
    map_[:10, :10] = 1  # the part that lies outside
    picture = overlay(gray(20, 20), map_, box=(-10, -10, 30, 30), style=Style(opacity=1))
    assert np.array_equal(picture, gray(20, 20))


def test_signed_maps_have_zero_in_the_middle():
    map_ = np.array([[-4.0, 0.0, 2.0, 4.0]], np.float32)
    table = colours("RdBu_r")
    picture = heat_map(map_, Style(limits=(-4, 4)))
    assert np.array_equal(picture[0, 0], table[0])
    assert np.array_equal(picture[0, 3], table[255])
    assert np.abs(picture[0, 1].astype(int) - table[127]).max() <= 3
    one_sided = heat_map(np.abs(map_), Style(signed=True, limits=(-4, 4)))
    assert np.array_equal(one_sided[0, 0], table[255])


def test_limits_make_maps_comparable():
    weak, strong = np.full((2, 2), 1.0), np.full((2, 2), 4.0)
    style = Style(cmap="gray", limits=(0, 4))
    assert heat_map(weak, style)[0, 0, 0] == 64
    assert heat_map(strong, style)[0, 0, 0] == 255


def test_single_pixels_do_not_set_the_scale():
    map_ = np.linspace(0, 1, 10_000).reshape(100, 100)
    map_[50, 50] = 1000
    assert heat_map(map_, Style(cmap="gray"))[90, 50, 0] > 200


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (3, 500), (400, 300)])
def test_any_size_of_map_and_photo(shape):
    map_ = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    for photo in (gray(8, 8), gray(1, 1), gray(301, 77)):
        picture = overlay(photo, map_)
        assert picture.shape == photo.shape
        assert picture.dtype == np.uint8


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_maps_that_cannot_be_drawn_are_refused(bad):
    map_ = np.zeros((4, 4))
    map_[1, 1] = bad
    for draw in (heat_map, lambda value: overlay(gray(), value), lambda value: gradient_picture(value[None])):
        with pytest.raises(OptionError, match="NaN or infinite"):
            draw(map_)
    with pytest.raises(OptionError, match=r"shape \(H, W\), got \(3, 4, 4\)"):
        overlay(gray(), np.zeros((3, 4, 4)))
    with pytest.raises(OptionError, match="no colour map 'nope'; see matplotlib"):
        colours("nope")
    with pytest.raises(OptionError, match="close are turbo"):
        Style(cmap="turbbo")
    with pytest.raises(OptionError, match="opacity=2"):
        Style(opacity=2)


def test_gradient_pictures_are_gray_where_there_is_nothing():
    values = np.zeros((3, 8, 8))
    assert (gradient_picture(values) == 128).all()
    values[0, 0, 0], values[1, 1, 1] = 2.0, -2.0
    picture = gradient_picture(values, quantile=1.0)
    assert picture[0, 0].tolist() == [255, 128, 128]
    assert picture[1, 1].tolist() == [128, 0, 128]


def test_sheets_hold_every_cell_and_its_caption():
    cells = [
        [
            (f"image {i} with a very long name indeed, longer than its cell\nclass {j}", gray(30, 60, 40 * j))
            for j in range(4)
        ]
        for i in range(3)
    ]
    sheet = contact_sheet(cells, cell=100)
    assert sheet.shape[1] == 4 * 108 + 8
    for j in range(4):
        column = sheet[:, 8 + j * 108 : 108 + j * 108]
        assert (column == 40 * j).all(axis=2).sum() >= 3 * 100 * 48
    assert contact_sheet([[("a\x00b\u202e", gray())]]).shape[2] == 3
    assert len(figure(cells).axes) == 12


@pytest.mark.parametrize(
    ("images", "cells", "shape"),
    [(12, 2, (4, 6)), (12, 3, (6, 6)), (2, 3, (2, 3)), (4, 8, (4, 8)), (3, 9, (3, 9)), (5, 2, (3, 4)), (1, 1, (1, 1))],
)
def test_few_cells_of_many_images_stand_side_by_side(images, cells, shape):
    rows = [[(f"{i} {j}", gray()) for j in range(cells)] for i in range(images)]
    laid = side_by_side(rows)
    assert (len(laid), max(map(len, laid))) == shape
    assert [cell for row in laid for cell in row] == [cell for row in rows for cell in row]
    laid = side_by_side([rows[0][:1], *rows])
    assert [caption for caption, _ in laid[0][:cells]] == ["0 0"] + [""] * (cells - 1)


def test_lines_stand_at_their_epochs_with_a_logarithmic_axis_where_they_span_much():
    values = np.array([0.1, np.nan, 0.9])
    panels = {
        "first": [Trace("a", values, values - 5, values + 5), Trace("chance", np.array([0.5]), background=True)],
        "second": [Trace("b", values)],
    }
    figure = line_panels(panels, [1, 10, 100], title="t", axis="epoch", within=(-1, 1))
    first, second = figure.axes
    assert first.get_xscale() == second.get_xscale() == "log"
    np.testing.assert_array_equal(first.lines[0].get_xdata(), [1, 10, 100])
    np.testing.assert_array_equal(first.lines[0].get_ydata(), values)
    np.testing.assert_array_equal(first.lines[1].get_ydata(), [0.5, 0.5])
    assert first.get_ylim()[0] >= -1.06
    assert first.get_ylim()[1] <= 1.06
    assert first.lines[0].get_color() != second.lines[0].get_color()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "chance", "b"]
    named = line_panels({"p": [Trace("a", values)]}, ["x", "y", "z"])
    assert named.axes[0].get_xscale() == "linear"
    assert [label.get_text() for label in named.axes[0].get_xticklabels()] == ["x", "y", "z"]
    assert not named.legends


def test_an_animation_has_its_frames_and_is_refused_elsewhere(tmp_path):
    frames = [np.full((8, 10, 3), shade, np.uint8) for shade in (0, 120, 250)]
    write_animation(tmp_path / "a.webp", frames, milliseconds=50)
    with Image.open(tmp_path / "a.webp") as film:
        assert (film.n_frames, film.size, film.info["loop"]) == (3, (10, 8), 0)
    for path, given in ((tmp_path / "a.png", frames), (tmp_path / "b.webp", [])):
        with pytest.raises(ImageError, match="expected some, and a name in .webp"):
            write_animation(path, given)


def test_a_long_caption_is_broken_before_it_is_shortened():
    from explainers.render.sheet import _broken, caption_font

    assert _broken("a short one\nand another", 200) == ["a short one", "and another"]
    before = _broken("before: yellow-dagger-blue-forked 0.51", 224)
    assert before == ["before: yellow-dagger-blue-forked", "0.51"], "no number is broken at its point"
    assert _broken("00001-yellow-dagger-blue-forked.png", 224) == ["00001-yellow-dagger-blue-", "forked.png"]
    first, second = _broken("northern-cardinal-female-0001.jpg", 112)
    assert first + second == "northern-cardinal-female-0001.jpg"
    assert first.endswith("-")
    assert caption_font().getlength(first) <= 112
    first, second = _broken("m" * 20, 112)
    assert first + second == "m" * 20
    assert contact_sheet([[("x" * 400, gray())]], cell=64).shape[1] == 64 + 2 * 8
