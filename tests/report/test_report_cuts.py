"""Which slices a report keeps, and what maps have there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from explainers.render.report.cuts import MOST, bounded, chosen, cut, nearest, place_in, smaller
from explainers.run.report.agreement import disagreement, ranks_of


def test_few_slices_are_all_kept_and_of_many_the_wanted_ones():
    assert chosen(7, [3]) == list(range(7))
    found = chosen(400, [123, 124, 399])
    assert len(found) == 48
    assert {123, 124, 399} <= set(found)
    assert max(np.diff(found)) <= 17, "evenly: 400 / 47 slices lie between two, and twice as many beside a wanted one"


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_are_those_of_the_map_that_is_enlarged_to_the_volume(axis):
    """Against torch's trilinear enlargement of the whole map, whose other axes are enlarged on the page."""
    map_ = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
    size = list(map_.shape)
    size[axis] = 17
    whole = F.interpolate(torch.from_numpy(map_)[None, None], size=size, mode="trilinear", align_corners=False)[0, 0]
    places = [0, 1, 8, 15, 16]
    expected = np.moveaxis(whole.numpy().take(places, axis), axis, 0)
    np.testing.assert_allclose(cut(map_, axis, places, 17), expected, atol=1e-6)
    np.testing.assert_array_equal(cut(map_, axis, [2], map_.shape[axis])[0], map_.take(2, axis))


def test_places_of_a_small_map_in_a_large_volume():
    assert [place_in(index, 4, 4) for index in range(4)] == [0, 1, 2, 3]
    assert [place_in(index, 2, 9) for index in range(2)] == [2, 6]


def test_no_peak_is_lost_where_values_are_left_out():
    values = np.zeros((2, 9, 11), np.float32)
    values[0, 4, 7], values[1, 8, 0] = -3, 2
    small = smaller(values, 3, 4)
    assert small.shape == (2, 3, 4)
    assert (small[0].min(), small[1].max()) == (-3, 2)
    assert np.argwhere(small[0] == -3).tolist() == [[1, 2]], "rows 3 to 5, columns 5 to 7"
    assert np.argwhere(small[1] == 2).tolist() == [[2, 0]]
    assert np.count_nonzero(small) == 2
    assert smaller(values, 9, 11) is values


def test_what_is_kept_is_bounded():
    assert bounded((20, 32, 28)) == (32, 28)
    height, width = bounded((48, 512, 256))
    assert 0.97 * MOST <= 48 * height * width <= MOST
    assert height / width == pytest.approx(2, rel=0.05)


def test_masks_take_the_value_in_the_middle_of_each_block():
    mask = np.zeros((1, 6, 6), bool)
    mask[0, 3, 1] = True
    assert np.argwhere(nearest(mask, 2, 2)[0]).tolist() == []
    assert np.argwhere(nearest(mask, 6, 6)[0]).tolist() == [[3, 1]]
    assert np.argwhere(nearest(mask, 2, 6)[0]).tolist() == []
    mask[0, 4, 1] = True
    assert np.argwhere(nearest(mask, 2, 2)[0]).tolist() == [[1, 0]]


@pytest.mark.parametrize("shape", [(300,), (12, 13, 14)])
def test_maps_of_volumes_and_signals_are_compared(shape):
    """Equal orders agree wholly, reversed ones are two apart, and a constant map has nothing to say."""
    map_ = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    one, other = ranks_of(map_), ranks_of(-map_)
    assert disagreement([one, ranks_of(2 * map_ + 1)]) == pytest.approx(0, abs=1e-9)
    assert disagreement([one, other]) == pytest.approx(2)
    assert ranks_of(np.ones(shape, np.float32)) is None
