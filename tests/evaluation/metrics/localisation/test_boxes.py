"""Boxes of maps and masks: SciPy's components, boxes drawn as pixels, answers by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mask_cases import SIZES, cases, each, evaluated, flags, minmax, objects
from scipy import ndimage

from explainers import create_metric
from explainers.evaluation.metrics.localisation.boxes import best_box_iou, box_iou, component_boxes, mask_boxes
from explainers.evaluation.metrics.localisation.regions import iou


@pytest.mark.parametrize("size", [*SIZES, (1, 1)])
def test_mask_boxes_equal_the_extremes_of_the_pixels(size):
    masks = torch.rand(6, *size) < 0.1
    masks[torch.arange(6), torch.randint(size[0], (6,)), torch.randint(size[1], (6,))] = True
    for box, mask in zip(mask_boxes(masks).tolist(), masks.numpy()):
        rows, columns = np.nonzero(mask)
        assert box == [columns.min(), rows.min(), columns.max(), rows.max()]


def test_box_iou_counts_whole_pixels():
    one = torch.tensor([2, 3, 2, 3])
    others = torch.tensor([[2, 3, 2, 3], [2, 3, 3, 3], [3, 3, 3, 3], [0, 0, 9, 9], [8, 8, 9, 9]])
    assert box_iou(others, one).tolist() == [1, 0.5, 0, 0.01, 0]
    assert box_iou(one, others).tolist() == [1, 0.5, 0, 0.01, 0]


def test_box_iou_equals_that_of_the_boxes_drawn():
    corners = torch.randint(0, 12, (40, 2, 2)).sort(dim=1).values.flatten(1)  # left, top, right, bottom
    drawn = torch.zeros(40, 12, 12, dtype=torch.bool)
    for picture, (left, top, right, bottom) in zip(drawn, corners.tolist()):
        picture[top : bottom + 1, left : right + 1] = True
    assert torch.equal(mask_boxes(drawn), corners)
    torch.testing.assert_close(box_iou(corners[:20], corners[20:]), iou(drawn[:20], drawn[20:]))


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
        assert component_boxes(region).tolist() == slow_components(region.numpy())


def test_components_touch_at_corners_and_the_largest_comes_first():
    region = flags("#....", ".#...", "...##", "....#", "#....")
    assert component_boxes(region).tolist() == [[3, 2, 4, 3], [0, 0, 1, 1], [0, 4, 0, 4]]
    assert component_boxes(torch.zeros(3, 4, dtype=torch.bool)).shape == (0, 4)
    assert component_boxes(flags("###", ".#.").T).tolist() == [[0, 0, 1, 2]]  # not contiguous


def test_best_box_by_hand():
    maps = torch.zeros(1, 6, 8)
    maps[0, 0:2, 0:2], maps[0, 3:6, 4:8] = 1.0, 0.5  # the object is the smaller, brighter part
    masks = torch.zeros(1, 6, 8, dtype=torch.bool)
    masks[0, 0:2, 0:3] = True
    thresholds = torch.tensor([0.0, 0.5, 0.75, 1.0, 1.5])
    single, several = (best_box_iou(maps, masks, thresholds, multiple) for multiple in (False, True))
    torch.testing.assert_close(single, torch.tensor([[6 / 48, 0, 4 / 6, 4 / 6, 0]], dtype=torch.float64))
    torch.testing.assert_close(several, torch.tensor([[6 / 48, 4 / 6, 4 / 6, 4 / 6, 0]], dtype=torch.float64))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("multiple", [False, True])
def test_best_box_equals_scipys_components(size, multiple):
    maps, masks = cases(size)
    thresholds = torch.tensor([0.0, 0.3, 0.6, 0.9])
    found = best_box_iou(maps, masks, thresholds, multiple)
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


def test_maxboxacc_has_one_threshold_for_all_images():
    images, masks, maps = objects()
    levels = torch.linspace(0, 1, 21)
    for bounds, multiple in ((0.5, False), ((0.3, 0.5, 0.7), True)):
        metric = create_metric("maxboxacc", iou=bounds, multiple=multiple, thresholds=20)
        result = evaluated(metric, images, masks, maps)
        overlaps = best_box_iou(maps, masks, levels, multiple).numpy()
        wanted = []
        for bound in np.atleast_1d(bounds):
            wanted.append(max(np.mean([row[t] >= bound for row in overlaps]) for t in range(21)))
        assert result.summary().cells["given", "maxboxacc"].value == pytest.approx(np.mean(wanted))
        best = [np.mean([row.max() >= bound for bound in np.atleast_1d(bounds)]) for row in overlaps]
        assert list(result.values("maxboxacc")["given"].values()) == pytest.approx(best)
