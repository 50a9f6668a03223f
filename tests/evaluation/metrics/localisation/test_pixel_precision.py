"""Average precision of pixels: NumPy, scikit-learn and answers by hand, of one map and pooled."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mask_cases import SIZES, cases, each, evaluated, minmax, objects
from sklearn.metrics import average_precision_score

from explainers import create_metric
from explainers.evaluation.metrics.localisation.pixel_precision import average_precision, precision_recall_counts


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("bins", [7, 1000])
def test_counts_equal_numpys(size, bins):
    maps, masks = cases(size)
    counts = precision_recall_counts(maps, masks, bins)
    assert counts.shape == (4, 2, bins + 1)
    for found, (values, mask) in zip(counts.numpy(), each(maps, masks)):
        levels = np.floor(minmax(values) * bins).astype(int)
        for side, chosen in enumerate((mask, ~mask)):
            np.testing.assert_array_equal(found[side], np.bincount(levels[chosen], minlength=bins + 1))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("bins", [7, 1000])
def test_average_precision_equals_scikit_learns_of_each_map_and_of_all_pixels(size, bins):
    maps, masks = cases(size)
    counts = precision_recall_counts(maps, masks, bins)
    levels = np.stack([np.floor(minmax(values) * bins) for values in maps.numpy()])
    expected = [average_precision_score(mask.ravel(), level.ravel()) for level, mask in zip(levels, masks.numpy())]
    np.testing.assert_allclose(average_precision(counts), expected, atol=1e-12)
    pooled = average_precision_score(masks.numpy().ravel(), levels.ravel())
    assert average_precision(counts.sum(0)).item() == pytest.approx(pooled, abs=1e-12)


def test_average_precision_by_hand():
    counts = torch.tensor([[1.0, 0, 1, 0], [1, 1, 1, 0]])  # from the top: P, R = 1/2, 1/2; 1/3, 1/2; 2/5, 1
    assert average_precision(counts.double()).item() == pytest.approx(0.5 * 0.5 + 0.5 * 0.4)


def test_pxap_is_pooled_over_images():
    images, masks, maps = objects()
    result = evaluated(create_metric("pxap", bins=100), images, masks, maps)
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    levels = torch.floor((maps - low) / (high - low) * 100)
    wanted = average_precision_score(masks.flatten().numpy(), levels.flatten().numpy())
    cell = result.summary().cells["given", "pxap"]
    assert cell.value == pytest.approx(wanted, abs=1e-9)
    assert cell.interval[0] < wanted < cell.interval[1]
    assert np.mean(list(result.values("pxap")["given"].values())) != pytest.approx(wanted, abs=1e-4)


def test_coarser_counts_have_about_the_same_precision():
    _, masks, maps = objects()
    metric = create_metric("pxap", bins=1003)
    parts = precision_recall_counts(maps, masks, 1003).numpy()
    fine, coarse = parts.sum(axis=0), sum(metric.coarser(each) for each in parts)
    assert coarse.shape == (2, 104)
    assert coarse.sum() == fine.sum()
    one, two = (metric.combined(each[None], np.array([9]))[0] for each in (fine, coarse))
    assert one == pytest.approx(two, abs=0.01)
