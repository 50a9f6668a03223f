"""Regions of maps and their overlap with masks: scikit-image, loops over thresholds, answers by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from mask_cases import SIZES, cases, each, evaluated, flags, minmax, objects
from skimage.filters import threshold_otsu

from explainers import create_metric
from explainers.errors import OptionError
from explainers.evaluation.measuring.fillings import image_seed
from explainers.evaluation.metrics.localisation.regions import attention_errors, binarised, iou, iou_curve, otsu


@pytest.mark.parametrize("size", SIZES)
def test_region_above_the_mean_equals_numpys(size):
    maps, _ = cases(size)
    expected = [
        values > values.astype(np.float64).mean() if np.ptp(values) else values < values for values in maps.numpy()
    ]
    np.testing.assert_array_equal(binarised(maps, "mean"), expected)


@pytest.mark.parametrize("size", [(9, 6), (31, 40)])
def test_region_above_mean_and_deviation_equals_numpys(size):
    maps, _ = cases(size)
    values = maps.numpy().astype(np.float64)
    expected = [each > each.mean() + each.std() if np.ptp(each) else each < each for each in values]
    np.testing.assert_array_equal(binarised(maps, "mean+std"), expected)
    by_hand = torch.tensor([[[0.0, 0, 0, 0, 10]]])  # mean 2, deviation 4
    assert binarised(by_hand, "mean+std").tolist() == [[[False, False, False, False, True]]]


@pytest.mark.parametrize("value", [0.1, -0.3, 1 / 3, 1.1])  # means of the last two are rounded down
@pytest.mark.parametrize("threshold", ["mean", "mean+std", "otsu", 0, 0.5])
def test_a_constant_map_points_out_nothing(value, threshold):
    maps = torch.full((2, 31, 33), value, dtype=torch.float64)
    assert not binarised(maps, threshold).any()


def test_values_at_the_threshold_are_not_above_it():
    maps = torch.tensor([[[0.0, 1, 2, 3, 4]]])
    assert binarised(maps, "mean").tolist() == [[[False, False, False, True, True]]]
    assert binarised(maps, 0.5).tolist() == [[[False, False, False, True, True]]]
    assert binarised(5 - 2 * maps, 0).tolist() == [[[True, True, True, True, False]]]
    assert not binarised(maps, 1).any()


def bimodal(size: tuple[int, int], shift: float) -> torch.Tensor:
    high = torch.rand(3, *size) < torch.tensor([0.2, 0.5, 0.7])[:, None, None]
    return torch.randn(3, *size) + shift * high


@pytest.mark.parametrize("size", [(9, 6), (31, 40), (128, 96)])
@pytest.mark.parametrize("shift", [0, 3, 30])
def test_otsu_equals_scikit_images_up_to_half_a_bin(size, shift):
    maps = bimodal(size, shift)
    for values, found in zip(maps.numpy(), otsu(maps).tolist()):
        centre = threshold_otsu(minmax(values), nbins=256)
        assert found - centre == pytest.approx(0.5 / 256, abs=1e-9)


@pytest.mark.parametrize("shift", [0, 3, 30])
def test_otsus_region_equals_scikit_images_where_values_are_middles_of_bins(shift):
    levels = (minmax(bimodal((40, 31), shift)[1].numpy()) * 255).round()
    ours = binarised(torch.from_numpy(levels)[None], "otsu")[0]
    theirs = levels > threshold_otsu(levels.astype(np.uint8))
    assert 0 < theirs.mean() < 1
    np.testing.assert_array_equal(ours, theirs)


def test_otsu_of_two_values_parts_them():
    maps = torch.tensor([[[-1.0, 5, -1]], [[0.0, 0.0, 1e-3]]])
    assert binarised(maps, "otsu").tolist() == [[[False, True, False]], [[False, False, True]]]


def test_otsu_puts_a_value_at_the_edge_of_two_bins_into_the_upper_one():
    levels = np.arange(257.0)[None]
    expected = levels > threshold_otsu(minmax(levels)) * 256
    np.testing.assert_array_equal(binarised(torch.from_numpy(levels)[None], "otsu")[0], expected)


def test_otsu_does_not_cut_through_the_first_bin():
    maps = torch.tensor([[[0.0, 0.003, 1.0, 1.0]]])  # scikit-image's middle of the bin, 0.00195, would let 0.003 pass
    assert binarised(maps, "otsu").tolist() == [[[False, False, True, True]]]


@pytest.mark.parametrize("threshold", ["median", "Otsu", -0.1, 1.1, math.nan, True, None])
def test_another_threshold_is_refused(threshold):
    with pytest.raises(
        OptionError, match=r'threshold=.*; expected "mean", "mean\+std", "otsu" or a number from 0 to 1'
    ):
        binarised(torch.rand(1, 3, 3), threshold)


def test_iou_by_hand():
    regions = torch.stack([flags("##.", "..."), flags("##.", "#.."), flags("...", "...")])
    masks = torch.stack([flags(".##", "..."), flags("##.", "#.."), flags("...", "...")])
    found = iou(regions, masks)
    assert found[:2].tolist() == [1 / 3, 1]
    assert found[2].isnan()
    assert found.dtype == torch.float64


@pytest.mark.parametrize("size", SIZES)
def test_iou_curve_equals_the_iou_of_each_region(size):
    maps, masks = cases(size)
    thresholds = torch.tensor([0.5, 0.0, 1.0, 0.25, 0.5, 0.99, -1.0, 2.0], dtype=torch.float64)  # not in order
    found = iou_curve(maps, masks, thresholds)
    assert found.shape == (4, 8)
    for column, threshold in enumerate(thresholds.tolist()):
        for row, (values, mask) in enumerate(each(maps, masks)):
            region = minmax(values) > threshold
            assert found[row, column].item() == pytest.approx((region & mask).sum() / (region | mask).sum())


def test_iou_curve_at_values_of_the_map_is_that_of_values_strictly_above():
    maps, masks = torch.tensor([[[0.0, 1, 2, 3, 4]]]), flags("...##")[None]
    found = iou_curve(maps, masks, torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]))
    assert found.tolist() == [[2 / 4, 2 / 3, 1, 1 / 2, 0]]


def test_attention_errors_by_hand():
    """Pixels of the region beyond the mask, and of the mask that are missed."""
    regions = {
        "####....": "",  # 0, 0: just the object
        "##......": "insufficiently attended",  # 0, 2
        "########": "over-attended",  # 4, 0
        "#...#...": "insufficiently attended",  # 1, 3
        "##..###.": "over-attended",  # 3, 2
        "##..##..": "other",  # 2, 2
        "#...##..": "insufficiently attended",  # 2, 3
        "....####": "other",  # 4, 4: beside it
        "....###.": "insufficiently attended",  # 3, 4
        "........": "insufficiently attended",  # 0, 4: nothing at all
    }
    maps = torch.stack([flags(region, "........") for region in regions]).double()
    masks = torch.stack([flags("####....", "........")] * len(regions))
    assert attention_errors(maps, masks) == list(regions.values())
    assert attention_errors(maps, masks, 0.5) == list(regions.values())
    assert attention_errors(maps, masks, 1) == ["insufficiently attended"] * len(regions)  # above 1 is nothing


def test_rows_say_how_a_region_misses_its_mask():
    images, masks, _ = objects(3)
    wide, narrow = torch.rand(14, 11) * 0.1, torch.zeros(14, 11)
    wide[:12, :11] += 1
    narrow[1:3, 3:5] = 1
    maps = torch.stack([wide, masks[1].float(), narrow])
    maps[2] = torch.where(masks[2], 0, 0)
    maps[2, 3, 3] = 1
    result = evaluated(create_metric("miou", threshold=0.5), images, masks, maps)
    rows = {row["image"]: row for row in result.rows if row["explainer"] == "given"}
    assert [rows[name]["attention"] for name in "012"] == ["over-attended", "", "insufficiently attended"]
    assert rows["1"]["value"] == 1.0
    assert [row["image"] for row in result.worst("given", "miou", 2)] == ["2", "0"]
    assert result.best("given", "miou", 1)[0]["image"] == "1"


def test_a_threshold_from_validation_never_sees_the_half_that_it_is_judged_on():
    images, masks, maps = objects(12)
    result = evaluated(create_metric("miou", threshold="validation"), images, masks, maps)
    curves = iou_curve(maps, masks, torch.linspace(0, 1, 101)).numpy()
    half = np.array([image_seed(image, 0) % 2 for image in images])
    assert 0 < half.sum() < 12
    chosen = [curves[half == side].sum(axis=0).argmax() for side in (0, 1)]
    wanted = np.mean([curve[chosen[1 - side]] for curve, side in zip(curves, half, strict=True)])
    assert result.summary().cells["given", "miou"].value == pytest.approx(wanted)
