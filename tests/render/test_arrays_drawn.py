"""Pictures of volumes and signals: straight columns, and peaks that are seen however long a signal is."""

from __future__ import annotations

import numpy as np
import pytest

from explainers.data.recordings import Recording
from explainers.errors import OptionError
from explainers.render import Style
from explainers.render.arrays import MapRow, fewer, figure_of, picture_of, pixels_of
from explainers.render.style import limits_of

LENGTH, PEAK = 60_000, 41_234


def recording(shape, spacing=(1, 1, 1), **more):
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    affine = np.diag([*spacing, 1.0]) if len(shape) == 4 else None
    return Recording(values, affine, **more)


def rows(*maps):
    return [MapRow(values, Style(), f"map {number}\nsaid") for number, values in enumerate(maps)]


def test_a_peak_of_one_sample_is_seen_in_the_colours_of_a_long_signal():
    values, map_ = np.zeros((1, LENGTH), np.float32), np.zeros(LENGTH, np.float32)
    map_[PEAK] = 1
    picture = pixels_of(picture_of(Recording(values), [MapRow(map_, Style())])).astype(int)
    width = int(0.9 * picture.shape[1])  # without the colour bar
    band = picture[12:50, 70:width]  # above the curve, which is flat
    inside = np.flatnonzero((np.ptp(band, axis=2) > 40).all(axis=0))
    assert 1 <= len(inside) <= 4
    curve = picture[135:195, 70:width]  # of the map, above where it is 0
    assert inside.mean() == pytest.approx(np.flatnonzero((curve < 128).all(axis=(0, 2))).mean(), abs=3)


def test_fewer_values_keep_every_peak_with_its_sign():
    values = np.zeros(1000, np.float32)
    values[[17, 500, 999]] = 2, -3, 1
    found = fewer(values, 10, 0)
    assert found.tolist() == [2, 0, 0, 0, 0, -3, 0, 0, 0, 1]
    assert fewer(values, 1000, 0) is values
    assert fewer(np.stack([values, -values]), 10, 1)[1].tolist() == (-found).tolist()


@pytest.mark.parametrize("count", [5, 200, 4000])
def test_the_scale_of_a_map_of_few_values_ends_at_one_that_it_has(count):
    map_ = np.zeros(count, np.float32)
    map_[3] = 0.25
    assert limits_of(map_) == (0, 0.25)
    assert limits_of(-map_) == (-0.25, 0.25)


@pytest.mark.parametrize(
    ("sides", "spacing"), [((6, 7, 5), (1, 1, 1)), ((16, 16, 3), (1, 1, 4)), ((20, 4, 4), (1, 1, 1))]
)
def test_planes_stand_in_straight_columns_with_true_proportions(sides, spacing):
    map_ = np.random.default_rng(1).uniform(size=sides).astype(np.float32)
    fig = figure_of([picture_of(recording((1, *sides), spacing), rows(map_, 0 * map_, -map_), "a scan")])
    fig.draw_without_rendering()
    planes = [axis for axis in fig.subfigs[0].axes if axis.images]
    assert len(planes) == 12
    for column in range(3):
        places = [axis.get_window_extent() for axis in planes[column::3]]
        assert np.ptp([each.x0 for each in places]) < 1
        assert np.ptp([each.width for each in places]) < 1
        down, across = (other for other in range(3) if other != column)
        shape = sides[down] * spacing[down] / (sides[across] * spacing[across])
        assert places[0].height / places[0].width == pytest.approx(shape, rel=0.02)
    titles = [axis.get_title(loc="left") for axis in planes]
    assert [title for title in titles if title] == ["map 0\nsaid", "map 1\nsaid", "map 2\nsaid"]


def test_planes_go_through_the_strongest_place_of_the_first_map_that_has_one():
    first, second = np.zeros((4, 5, 6), np.float32), np.zeros((4, 5, 6), np.float32)
    second[1, 4, 2] = -3
    made = picture_of(recording((1, 4, 5, 6)), rows(first, second))
    assert made.place == (1, 4, 2)
    assert picture_of(recording((1, 4, 5, 6)), rows(np.stack([first, second]))).place == (1, 4, 2), "of all channels"


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(OptionError, match="NaN"):
        MapRow(np.full((2, 3, 4), np.nan), Style())
    with pytest.raises(OptionError, match=r"a map of \(3,\) for a signal of \(1, 4\)"):
        picture_of(Recording(np.zeros((1, 4), np.float32)), rows(np.zeros(3, np.float32)))
    with pytest.raises(OptionError, match="expected"):
        picture_of(recording((1, 2, 3, 4)), rows(np.zeros((2, 3, 5), np.float32)))
