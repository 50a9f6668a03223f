"""Concentration of maps against loops and answers by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from explainers.evaluation.metrics.sparseness import entropy, gini

SIZES = [(1, 7), (5, 1), (6, 9), (13, 8), (1, 1)]


def slow_gini(values: np.ndarray) -> float:
    """Half the mean absolute difference of all pairs, relative to the mean."""
    magnitudes = np.abs(values).ravel()
    pairs = sum(abs(a - b) for a in magnitudes for b in magnitudes)
    return pairs / (2 * magnitudes.size**2 * magnitudes.mean())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("rectified", [False, True])
def test_gini_is_half_the_relative_mean_difference(size, rectified):
    maps = torch.randn(3, *size)
    maps = maps.relu() + torch.eye(*size) if rectified else maps
    expected = [slow_gini(each) for each in maps.double().numpy()]
    np.testing.assert_allclose(gini(maps), expected, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("rectified", [False, True])
def test_entropy_equals_scipys(size, rectified):
    maps = torch.randn(3, *size)
    maps = maps.relu() + torch.eye(*size) if rectified else maps
    expected = [stats.entropy(np.abs(each).ravel()) for each in maps.double().numpy()]
    np.testing.assert_allclose(entropy(maps), expected, atol=1e-12)


def test_one_pixel_is_the_most_and_a_constant_the_least_concentrated_map():
    maps = torch.full((3, 5, 7), 0.1)
    maps[0] = 0
    maps[0, 3, 2] = -4
    maps[2] *= -1
    torch.testing.assert_close(gini(maps), torch.tensor([1 - 1 / 35, 0, 0], dtype=torch.float64))
    torch.testing.assert_close(entropy(maps), torch.tensor([0, math.log(35), math.log(35)], dtype=torch.float64))


def test_by_hand():
    maps = torch.tensor([[[1.0, -3.0]], [[2.0, 2.0]]])
    assert gini(maps).tolist() == [0.25, 0.0]
    quarter = 0.25 * math.log(4) + 0.75 * math.log(4 / 3)
    assert entropy(maps).tolist() == pytest.approx([quarter, math.log(2)])


@pytest.mark.parametrize("measure", [gini, entropy])
def test_a_map_of_zeros_is_undefined_and_leaves_its_neighbours(measure):
    maps = torch.randn(3, 4, 5)
    maps[1] = 0
    found = measure(maps)
    assert found.isnan().tolist() == [False, True, False]
    assert found.dtype == torch.float64
    torch.testing.assert_close(found[2:], measure(maps[2:]))


@pytest.mark.parametrize("measure", [gini, entropy])
def test_scale_and_sign_do_not_count(measure):
    maps = torch.randn(3, 4, 5)
    torch.testing.assert_close(measure(maps), measure(-1e-20 * maps), rtol=1e-6, atol=1e-6)
