"""Maps against masks: scikit-image, scikit-learn, SciPy, loops and answers by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.filters import threshold_otsu
from sklearn.metrics import average_precision_score

from explainers.errors import OptionError
from explainers.evaluation.metrics import localisation as on

SIZES = [(1, 7), (5, 1), (9, 6), (17, 24)]


def cases(size: tuple[int, int], count: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Signed, tied and constant maps (N, H, W), and masks none of which is empty."""
    maps = torch.randn(count, *size)
    maps[1] = maps[1].round().clamp(min=0)
    maps[1, 0, 0] = 2
    maps[2] = 0.1
    masks = torch.rand(count, *size) < 0.4
    masks[:, -1, -1] = True
    return maps, masks


def minmax(values: np.ndarray) -> np.ndarray:
    values = values.astype(np.float64)
    span = values.max() - values.min()
    return (values - values.min()) / span if span else np.zeros_like(values)


def each(maps: torch.Tensor, masks: torch.Tensor):
    return zip(maps.numpy(), masks.numpy())


def flags(*rows: str) -> torch.Tensor:
    return torch.tensor([[mark == "#" for mark in row] for row in rows])


# regions


@pytest.mark.parametrize("size", SIZES)
def test_region_above_the_mean_equals_numpys(size):
    maps, _ = cases(size)
    expected = [
        values > values.astype(np.float64).mean() if np.ptp(values) else values < values for values in maps.numpy()
    ]
    np.testing.assert_array_equal(on.binarised(maps, "mean"), expected)


@pytest.mark.parametrize("value", [0.1, -0.3, 1 / 3, 1.1])  # means of the last two are rounded down
@pytest.mark.parametrize("threshold", ["mean", "otsu", 0, 0.5])
def test_a_constant_map_points_out_nothing(value, threshold):
    maps = torch.full((2, 31, 33), value, dtype=torch.float64)
    assert not on.binarised(maps, threshold).any()


def test_values_at_the_threshold_are_not_above_it():
    maps = torch.tensor([[[0.0, 1, 2, 3, 4]]])
    assert on.binarised(maps, "mean").tolist() == [[[False, False, False, True, True]]]
    assert on.binarised(maps, 0.5).tolist() == [[[False, False, False, True, True]]]
    assert on.binarised(5 - 2 * maps, 0).tolist() == [[[True, True, True, True, False]]]
    assert not on.binarised(maps, 1).any()


def bimodal(size: tuple[int, int], shift: float) -> torch.Tensor:
    high = torch.rand(3, *size) < torch.tensor([0.2, 0.5, 0.7])[:, None, None]
    return torch.randn(3, *size) + shift * high


@pytest.mark.parametrize("size", [(9, 6), (31, 40), (128, 96)])
@pytest.mark.parametrize("shift", [0, 3, 30])
def test_otsu_equals_scikit_images_up_to_half_a_bin(size, shift):
    maps = bimodal(size, shift)
    for values, found in zip(maps.numpy(), on.otsu(maps).tolist()):
        centre = threshold_otsu(minmax(values), nbins=256)
        assert found - centre == pytest.approx(0.5 / 256, abs=1e-9)


@pytest.mark.parametrize("shift", [0, 3, 30])
def test_otsus_region_equals_scikit_images_where_values_are_middles_of_bins(shift):
    levels = (minmax(bimodal((40, 31), shift)[1].numpy()) * 255).round()
    ours = on.binarised(torch.from_numpy(levels)[None], "otsu")[0]
    theirs = levels > threshold_otsu(levels.astype(np.uint8))
    assert 0 < theirs.mean() < 1
    np.testing.assert_array_equal(ours, theirs)


def test_otsu_of_two_values_parts_them():
    maps = torch.tensor([[[-1.0, 5, -1]], [[0.0, 0.0, 1e-3]]])
    assert on.binarised(maps, "otsu").tolist() == [[[False, True, False]], [[False, False, True]]]


def test_otsu_puts_a_value_at_the_edge_of_two_bins_into_the_upper_one():
    levels = np.arange(257.0)[None]
    expected = levels > threshold_otsu(minmax(levels)) * 256
    np.testing.assert_array_equal(on.binarised(torch.from_numpy(levels)[None], "otsu")[0], expected)


def test_otsu_does_not_cut_through_the_first_bin():
    maps = torch.tensor([[[0.0, 0.003, 1.0, 1.0]]])  # scikit-image's middle of the bin, 0.00195, would let 0.003 pass
    assert on.binarised(maps, "otsu").tolist() == [[[False, False, True, True]]]


@pytest.mark.parametrize("threshold", ["median", "Otsu", -0.1, 1.1, math.nan, True, None])
def test_another_threshold_is_refused(threshold):
    with pytest.raises(OptionError, match=r'threshold=.*; expected "mean", "otsu" or a number from 0 to 1'):
        on.binarised(torch.rand(1, 3, 3), threshold)


# overlap


def test_iou_by_hand():
    regions = torch.stack([flags("##.", "..."), flags("##.", "#.."), flags("...", "...")])
    masks = torch.stack([flags(".##", "..."), flags("##.", "#.."), flags("...", "...")])
    found = on.iou(regions, masks)
    assert found[:2].tolist() == [1 / 3, 1]
    assert found[2].isnan()
    assert found.dtype == torch.float64


@pytest.mark.parametrize("size", SIZES)
def test_iou_curve_equals_the_iou_of_each_region(size):
    maps, masks = cases(size)
    thresholds = torch.tensor([0.5, 0.0, 1.0, 0.25, 0.5, 0.99, -1.0, 2.0], dtype=torch.float64)  # not in order
    found = on.iou_curve(maps, masks, thresholds)
    assert found.shape == (4, 8)
    for column, threshold in enumerate(thresholds.tolist()):
        for row, (values, mask) in enumerate(each(maps, masks)):
            region = minmax(values) > threshold
            assert found[row, column].item() == pytest.approx((region & mask).sum() / (region | mask).sum())


def test_iou_curve_at_values_of_the_map_is_that_of_values_strictly_above():
    maps, masks = torch.tensor([[[0.0, 1, 2, 3, 4]]]), flags("...##")[None]
    found = on.iou_curve(maps, masks, torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]))
    assert found.tolist() == [[2 / 4, 2 / 3, 1, 1 / 2, 0]]


# pointing


def slow_pointing(values: np.ndarray, mask: np.ndarray, tolerance: float) -> float:
    row, column = divmod(int(np.argmax(values)), values.shape[1])
    distances = [math.hypot(row - y, column - x) for y, x in zip(*np.nonzero(mask))]
    return float(mask[row, column] or min(distances) < tolerance)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("tolerance", [0, 1, 1.5, 3, 5, 15])
def test_pointing_game_equals_a_search_through_the_mask(size, tolerance):
    maps, _ = cases(size, count=12)
    masks = torch.zeros(12, *size, dtype=torch.bool)
    masks.flatten(1)[torch.arange(12), torch.randint(size[0] * size[1], (12,))] = True
    expected = [slow_pointing(values, mask, tolerance) for values, mask in each(maps, masks)]
    assert on.pointing_game(maps, masks, tolerance).tolist() == expected


def test_pointing_game_by_hand_with_the_tolerance_exclusive():
    maps, masks = torch.zeros(4, 20, 40), torch.zeros(4, 20, 40, dtype=torch.bool)
    masks[:, 10, 5] = True
    for row, column in enumerate((5, 19, 20, 21)):
        maps[row, 10, column] = 1
    assert on.pointing_game(maps, masks).tolist() == [1, 1, 0, 0]
    assert on.pointing_game(maps, masks, 0).tolist() == [1, 0, 0, 0]
    maps, masks = torch.zeros(1, 20, 40), torch.zeros(1, 20, 40, dtype=torch.bool)
    maps[0, 0, 0], masks[0, 9, 12] = 1, True  # 15 away, diagonally
    assert [on.pointing_game(maps, masks, tolerance).item() for tolerance in (15, 15.01)] == [0, 1]


def test_pointing_game_takes_the_first_of_equal_values():
    maps = torch.tensor([[[0.0, 2, 0], [2, 0, 2]]])
    assert on.pointing_game(maps, flags(".#.", "...")[None], 0).item() == 1
    assert on.pointing_game(maps, flags("...", "#.#")[None], 0).item() == 0


@pytest.mark.parametrize("tolerance", [-1, math.nan])
def test_pointing_game_refuses_a_negative_tolerance(tolerance):
    with pytest.raises(OptionError, match="expected a distance in pixels, 0 or more"):
        on.pointing_game(*cases((3, 4)), tolerance)


def test_energy_counts_positive_mass_alone():
    maps = torch.tensor([[[3.0, -5, 1]], [[-1.0, -1, -2]], [[0.0, 0, 0]], [[-9.0, 1, 0]]])
    found = on.energy_pointing_game(maps, flags("##.")[None].expand(4, -1, -1))
    assert found[0].item() == 0.75
    assert found[1:3].isnan().all()
    assert found[3].item() == 1


def slow_rank(values: np.ndarray, mask: np.ndarray) -> float:
    size = int(mask.sum())
    order = sorted(range(values.size), key=lambda place: (-values.flat[place], place))
    return sum(bool(mask.flat[place]) for place in order[:size]) / size


@pytest.mark.parametrize("size", [*SIZES, (1, 1)])
def test_relevance_rank_equals_a_sort_in_python(size):
    maps, masks = cases(size)
    np.testing.assert_allclose(on.relevance_rank(maps, masks), [slow_rank(*pair) for pair in each(maps, masks)])


def test_relevance_rank_of_a_constant_map_goes_by_position():
    masks = torch.zeros(2, 30, 40, dtype=torch.bool)
    masks[0, :6], masks[1, -6:] = True, True
    assert on.relevance_rank(torch.ones(2, 30, 40), masks).tolist() == [1, 0]


def test_a_map_that_is_the_mask_is_perfect():
    _, masks = cases((17, 24))
    maps = masks.double()
    ones = torch.ones(4, dtype=torch.float64)
    assert torch.equal(on.energy_pointing_game(maps, masks), ones)
    assert torch.equal(on.relevance_rank(maps, masks), ones)
    assert torch.equal(on.pointing_game(maps, masks, 0), ones)
    assert torch.equal(on.average_precision(on.precision_recall_counts(maps, masks)), ones)
    assert torch.equal(on.iou_curve(maps, masks, torch.tensor([0.0, 0.99])), ones[:, None].expand(4, 2))
    for threshold in ("mean", "otsu", 0, 0.9):
        assert torch.equal(on.iou(on.binarised(maps, threshold), masks), ones)
        assert on.attention_errors(maps, masks, threshold) == [""] * 4


# pixel average precision


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("bins", [7, 1000])
def test_counts_equal_numpys(size, bins):
    maps, masks = cases(size)
    counts = on.precision_recall_counts(maps, masks, bins)
    assert counts.shape == (4, 2, bins + 1)
    for found, (values, mask) in zip(counts.numpy(), each(maps, masks)):
        levels = np.floor(minmax(values) * bins).astype(int)
        for side, chosen in enumerate((mask, ~mask)):
            np.testing.assert_array_equal(found[side], np.bincount(levels[chosen], minlength=bins + 1))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("bins", [7, 1000])
def test_average_precision_equals_scikit_learns_of_each_map_and_of_all_pixels(size, bins):
    maps, masks = cases(size)
    counts = on.precision_recall_counts(maps, masks, bins)
    levels = np.stack([np.floor(minmax(values) * bins) for values in maps.numpy()])
    expected = [average_precision_score(mask.ravel(), level.ravel()) for level, mask in zip(levels, masks.numpy())]
    np.testing.assert_allclose(on.average_precision(counts), expected, atol=1e-12)
    pooled = average_precision_score(masks.numpy().ravel(), levels.ravel())
    assert on.average_precision(counts.sum(0)).item() == pytest.approx(pooled, abs=1e-12)


def test_average_precision_by_hand():
    counts = torch.tensor([[1.0, 0, 1, 0], [1, 1, 1, 0]])  # from the top: P, R = 1/2, 1/2; 1/3, 1/2; 2/5, 1
    assert on.average_precision(counts.double()).item() == pytest.approx(0.5 * 0.5 + 0.5 * 0.4)


# boxes


@pytest.mark.parametrize("size", [*SIZES, (1, 1)])
def test_mask_boxes_equal_the_extremes_of_the_pixels(size):
    masks = torch.rand(6, *size) < 0.1
    masks[torch.arange(6), torch.randint(size[0], (6,)), torch.randint(size[1], (6,))] = True
    for box, mask in zip(on.mask_boxes(masks).tolist(), masks.numpy()):
        rows, columns = np.nonzero(mask)
        assert box == [columns.min(), rows.min(), columns.max(), rows.max()]


def test_box_iou_counts_whole_pixels():
    one = torch.tensor([2, 3, 2, 3])
    others = torch.tensor([[2, 3, 2, 3], [2, 3, 3, 3], [3, 3, 3, 3], [0, 0, 9, 9], [8, 8, 9, 9]])
    assert on.box_iou(others, one).tolist() == [1, 0.5, 0, 0.01, 0]
    assert on.box_iou(one, others).tolist() == [1, 0.5, 0, 0.01, 0]


def test_box_iou_equals_that_of_the_boxes_drawn():
    corners = torch.randint(0, 12, (40, 2, 2)).sort(dim=1).values.flatten(1)  # left, top, right, bottom
    drawn = torch.zeros(40, 12, 12, dtype=torch.bool)
    for picture, (left, top, right, bottom) in zip(drawn, corners.tolist()):
        picture[top : bottom + 1, left : right + 1] = True
    assert torch.equal(on.mask_boxes(drawn), corners)
    torch.testing.assert_close(on.box_iou(corners[:20], corners[20:]), on.iou(drawn[:20], drawn[20:]))


def slow_components(region: np.ndarray) -> list[list[int]]:
    """Boxes by SciPy: most pixels first, then further up, then further left."""
    labels, count = ndimage.label(region, structure=np.ones((3, 3)))
    found = []
    for label in range(1, count + 1):
        rows, columns = np.nonzero(labels == label)
        box = [columns.min(), rows.min(), columns.max(), rows.max()]
        found.append((-len(rows), box[1], box[0], [int(side) for side in box]))
    return [box for *_, box in sorted(found)]


@pytest.mark.parametrize("size", [*SIZES, (1, 1), (60, 45)])
@pytest.mark.parametrize("density", [0.05, 0.2, 0.5])
def test_component_boxes_equal_scipys(size, density):
    for _ in range(5):
        region = torch.rand(size) < density
        assert on.component_boxes(region).tolist() == slow_components(region.numpy())


def test_components_touch_at_corners_and_the_largest_comes_first():
    region = flags("#....", ".#...", "...##", "....#", "#....")
    assert on.component_boxes(region).tolist() == [[3, 2, 4, 3], [0, 0, 1, 1], [0, 4, 0, 4]]
    assert on.component_boxes(torch.zeros(3, 4, dtype=torch.bool)).shape == (0, 4)
    assert on.component_boxes(flags("###", ".#.").T).tolist() == [[0, 0, 1, 2]]  # not contiguous


def test_best_box_by_hand():
    maps = torch.zeros(1, 6, 8)
    maps[0, 0:2, 0:2], maps[0, 3:6, 4:8] = 1.0, 0.5  # the object is the smaller, brighter part
    masks = torch.zeros(1, 6, 8, dtype=torch.bool)
    masks[0, 0:2, 0:3] = True
    thresholds = torch.tensor([0.0, 0.5, 0.75, 1.0, 1.5])
    single, several = (on.best_box_iou(maps, masks, thresholds, multiple) for multiple in (False, True))
    torch.testing.assert_close(single, torch.tensor([[6 / 48, 0, 4 / 6, 4 / 6, 0]], dtype=torch.float64))
    torch.testing.assert_close(several, torch.tensor([[6 / 48, 4 / 6, 4 / 6, 4 / 6, 0]], dtype=torch.float64))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("multiple", [False, True])
def test_best_box_equals_scipys_components(size, multiple):
    maps, masks = cases(size)
    thresholds = torch.tensor([0.0, 0.3, 0.6, 0.9])
    found = on.best_box_iou(maps, masks, thresholds, multiple)
    for row, (values, mask) in enumerate(each(maps, masks)):
        rows, columns = np.nonzero(mask)
        truth = np.zeros_like(mask)
        truth[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
        for column, threshold in enumerate(thresholds.double().tolist()):
            best = 0.0
            boxes = slow_components(minmax(values) >= threshold)
            for left, top, right, bottom in boxes if multiple else boxes[:1]:
                drawn = np.zeros_like(mask)
                drawn[top : bottom + 1, left : right + 1] = True
                best = max(best, (drawn & truth).sum() / (drawn | truth).sum())
            assert found[row, column].item() == pytest.approx(best)


def test_thresholds_are_compared_in_double_precision():
    maps, masks = torch.arange(11.0)[None, None], torch.ones(1, 1, 11, dtype=torch.bool)
    tenths = torch.arange(11, dtype=torch.float64) / 10
    above = torch.arange(10, -1, -1)[None] / 11.0
    torch.testing.assert_close(on.iou_curve(maps, masks, tenths), above.double())
    torch.testing.assert_close(on.best_box_iou(maps, masks, tenths), above.double() + 1 / 11)
    assert [on.binarised(maps, tenth).sum().item() for tenth in tenths.tolist()] == list(range(10, -1, -1))


# kinds of errors


def test_attention_errors_by_hand():
    regions = {
        "####....": "",  # just the object
        "##......": "",  # recall 1/2, precision 1
        "########": "",  # recall 1, precision 1/2
        "#.......": "insufficiently attended",  # recall 1/4, precision 1
        "#...#...": "insufficiently attended",  # recall 1/4, precision 1/2
        "##..###.": "over-attended",  # recall 1/2, precision 2/5
        "#...##..": "other",  # recall 1/4, precision 1/3
        "....####": "other",  # nothing of it
        "........": "other",  # nothing at all
    }
    maps = torch.stack([flags(region, "........") for region in regions]).double()
    masks = torch.stack([flags("####....", "........")] * len(regions))
    assert on.attention_errors(maps, masks) == list(regions.values())
    assert on.attention_errors(maps, masks, 0.5) == list(regions.values())
    assert on.attention_errors(maps, masks, 1) == ["other"] * len(regions)


# all of them

SCORES = {
    "iou_curve": lambda maps, masks: on.iou_curve(maps, masks, torch.linspace(0, 1, 5)),
    "pointing_game": on.pointing_game,
    "energy_pointing_game": on.energy_pointing_game,
    "relevance_rank": on.relevance_rank,
    "precision_recall_counts": on.precision_recall_counts,
    "best_box_iou": lambda maps, masks: on.best_box_iou(maps, masks, torch.linspace(0, 1, 5)),
}


@pytest.mark.parametrize("name", SCORES)
def test_scores_of_a_batch_are_those_one_by_one_and_leave_the_maps_alone(name):
    maps, masks = cases((9, 14))
    before = maps.clone()
    together = SCORES[name](maps, masks)
    alone = torch.cat([SCORES[name](maps[row : row + 1], masks[row : row + 1]) for row in range(4)])
    torch.testing.assert_close(together, alone, rtol=0, atol=0, equal_nan=True)
    assert together.dtype == torch.float64
    assert torch.equal(maps, before)


@pytest.mark.parametrize("name", [name for name in SCORES if name != "energy_pointing_game"])
def test_scores_do_not_see_the_scale_of_a_map(name):
    maps, masks = cases((9, 14))
    maps = (8 * maps).round().double()  # exact under the change of scale
    assert torch.equal(SCORES[name](4 * maps - 16, masks), SCORES[name](maps, masks))
