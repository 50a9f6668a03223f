"""What all comparisons of a map and a mask have in common."""

from __future__ import annotations

import pytest
import torch
from mask_cases import cases

from explainers.evaluation.metrics.localisation.boxes import best_box_iou
from explainers.evaluation.metrics.localisation.pixel_precision import average_precision, precision_recall_counts
from explainers.evaluation.metrics.localisation.pointing import energy_pointing_game, pointing_game, relevance_rank
from explainers.evaluation.metrics.localisation.regions import attention_errors, binarised, iou, iou_curve


def test_a_map_that_is_the_mask_is_perfect():
    _, masks = cases((17, 24))
    maps = masks.double()
    ones = torch.ones(4, dtype=torch.float64)
    assert torch.equal(energy_pointing_game(maps, masks), ones)
    assert torch.equal(relevance_rank(maps, masks), ones)
    assert torch.equal(pointing_game(maps, masks, 0), ones)
    assert torch.equal(average_precision(precision_recall_counts(maps, masks)), ones)
    assert torch.equal(iou_curve(maps, masks, torch.tensor([0.0, 0.99])), ones[:, None].expand(4, 2))
    for threshold in ("mean", "otsu", 0, 0.9):
        assert torch.equal(iou(binarised(maps, threshold), masks), ones)
        assert attention_errors(maps, masks, threshold) == [""] * 4


def test_thresholds_are_compared_in_double_precision():
    maps, masks = torch.arange(11.0)[None, None], torch.ones(1, 1, 11, dtype=torch.bool)
    tenths = torch.arange(11, dtype=torch.float64) / 10
    above = torch.arange(10, -1, -1)[None] / 11.0
    torch.testing.assert_close(iou_curve(maps, masks, tenths), above.double())
    torch.testing.assert_close(best_box_iou(maps, masks, tenths), above.double() + 1 / 11)
    assert [binarised(maps, tenth).sum().item() for tenth in tenths.tolist()] == list(range(10, -1, -1))


SCORES = {
    "iou_curve": lambda maps, masks: iou_curve(maps, masks, torch.linspace(0, 1, 5)),
    "pointing_game": pointing_game,
    "energy_pointing_game": energy_pointing_game,
    "relevance_rank": relevance_rank,
    "precision_recall_counts": precision_recall_counts,
    "best_box_iou": lambda maps, masks: best_box_iou(maps, masks, torch.linspace(0, 1, 5)),
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
