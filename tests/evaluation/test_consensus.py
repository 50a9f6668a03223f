"""Maps of one image together: ranks, their mean and their spread, and what has no order."""

from __future__ import annotations

import numpy as np
import pytest

from explainers.evaluation.consensus import captions, consensus


def test_mean_and_spread_are_those_of_ranks_by_hand():
    first = np.array([[0.0, 10.0], [20.0, 30.0]], np.float32)  # ranks 0, 1/3, 2/3, 1
    second = np.array([[-5.0, 7.0], [7.0, -9.0]], np.float32)  # ranks 1/3, 5/6, 5/6, 0
    found = consensus({"a": first, "b": second})
    np.testing.assert_allclose(found.mean, [[1 / 6, 7 / 12], [3 / 4, 1 / 2]], rtol=1e-6)
    np.testing.assert_allclose(found.spread, [[1 / 6, 1 / 4], [1 / 12, 1 / 2]], rtol=1e-6)
    assert found.mean.dtype == found.spread.dtype == np.float32
    assert (found.of, found.without) == (("a", "b"), {})


def test_the_scale_of_a_map_does_not_count_and_its_sign_does():
    values = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    same = consensus({"a": values, "b": np.exp(3 * values) + 100})
    assert same.spread.max() == 0
    ranks = values.ravel().argsort().argsort().reshape(5, 7) / 34
    np.testing.assert_allclose(same.mean, ranks, atol=1e-6)
    turned = consensus({"a": values, "b": -values})
    np.testing.assert_allclose(turned.mean, 0.5, atol=1e-6)
    np.testing.assert_allclose(turned.spread, np.abs(ranks - 0.5), atol=1e-6)


def test_maps_without_an_order_are_left_out_and_named():
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    broken = values.copy()
    broken[0, 0] = np.nan
    maps = {"a": values, "flat": np.full((2, 3), 4.0), "b": values[::-1].copy(), "broken": broken, "gone": "no map"}
    found = consensus(maps)
    alone = consensus({"a": values, "b": values[::-1].copy()})
    np.testing.assert_array_equal(found.mean, alone.mean)
    np.testing.assert_array_equal(found.spread, alone.spread)
    assert found.without == {"flat": "constant", "broken": "not finite", "gone": "no map"}
    mean, spread = captions(found)
    assert mean.split("\n") == [
        "mean of methods",
        "ranks of 2 maps",
        "without flat (constant)",
        "without broken (not finite)",
        "without gone (no map)",
    ]
    assert spread.startswith("disagreement\n")
    assert consensus({"a": values, "flat": np.zeros((2, 3))}) is None
    assert consensus({}) is None


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_of_channels_the_largest_magnitude_counts_with_any_number_of_axes(axes):
    rng = np.random.default_rng(axes)
    plain, channels = rng.normal(size=(4,) * axes), rng.normal(size=(3, *(4,) * axes))
    found = consensus({"a": plain, "b": channels}, axes)
    expected = consensus({"a": plain, "b": np.abs(channels).max(axis=0)}, axes)
    assert found.mean.shape == (4,) * axes
    np.testing.assert_array_equal(found.mean, expected.mean)
