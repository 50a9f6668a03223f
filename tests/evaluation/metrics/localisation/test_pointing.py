"""The pointing game in its forms: searches, sorts and answers by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from mask_cases import SIZES, cases, each, flags

import explainers
from explainers.errors import OptionError
from explainers.evaluation.metrics.localisation.pointing import (
    energy_pointing_game,
    pointing_game,
    reach,
    relevance_rank,
)


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
    assert pointing_game(maps, masks, tolerance).tolist() == expected


def test_pointing_game_by_hand_with_the_tolerance_exclusive():
    maps, masks = torch.zeros(4, 20, 40), torch.zeros(4, 20, 40, dtype=torch.bool)
    masks[:, 10, 5] = True
    for row, column in enumerate((5, 19, 20, 21)):
        maps[row, 10, column] = 1
    assert pointing_game(maps, masks).tolist() == [1, 1, 0, 0]
    assert pointing_game(maps, masks, 0).tolist() == [1, 0, 0, 0]
    maps, masks = torch.zeros(1, 20, 40), torch.zeros(1, 20, 40, dtype=torch.bool)
    maps[0, 0, 0], masks[0, 9, 12] = 1, True  # 15 away, diagonally
    assert [pointing_game(maps, masks, tolerance).item() for tolerance in (15, 15.01)] == [0, 1]


def test_pointing_game_takes_the_first_of_equal_values():
    maps = torch.tensor([[[0.0, 2, 0], [2, 0, 2]]])
    assert pointing_game(maps, flags(".#.", "...")[None], 0).item() == 1
    assert pointing_game(maps, flags("...", "#.#")[None], 0).item() == 0


def test_a_tolerance_that_covers_much_of_an_image_is_said_once_at_the_foot_of_the_table():
    assert reach((31,), 15) == pytest.approx(29 / 31)
    assert reach((5, 5), 1.1) == pytest.approx(5 / 25)
    assert reach((4, 4, 4), 0.9) == pytest.approx(8 / 64)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(256, 2))
    images = torch.rand(2, 1, 16, 16)
    masks = torch.zeros(2, 16, 16, dtype=torch.bool)
    masks[:, 4, 4] = True
    found = {}
    for tolerance in (15, 1):
        metric = explainers.create_metric("pointing-game", tolerance=tolerance)
        result = explainers.evaluate(network, images, ["saliency"], [metric], masks=masks)
        found[tolerance] = [note for note in result.summary().notes() if "from the middle" in note]
    assert len(found[15]) == 1
    assert (
        "pointing-game ↑: 15 pixels from the middle of an image are up to 100% of it (more than 25% in 2 of 2)"
        in (found[15][0])
    )
    assert "--metric pointing-game:tolerance=1" in found[15][0]
    assert found[1] == []
    assert reach((53, 53), 15) <= 0.26
    assert reach((64, 64), 15) < 0.25


@pytest.mark.parametrize("tolerance", [-1, math.nan])
def test_pointing_game_refuses_a_negative_tolerance(tolerance):
    with pytest.raises(OptionError, match="expected a distance in pixels, 0 or more"):
        pointing_game(*cases((3, 4)), tolerance)


def test_energy_counts_positive_mass_alone():
    maps = torch.tensor([[[3.0, -5, 1]], [[-1.0, -1, -2]], [[0.0, 0, 0]], [[-9.0, 1, 0]]])
    found = energy_pointing_game(maps, flags("##.")[None].expand(4, -1, -1))
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
    np.testing.assert_allclose(relevance_rank(maps, masks), [slow_rank(*pair) for pair in each(maps, masks)])


def test_relevance_rank_of_a_constant_map_goes_by_position():
    masks = torch.zeros(2, 30, 40, dtype=torch.bool)
    masks[0, :6], masks[1, -6:] = True, True
    assert relevance_rank(torch.ones(2, 30, 40), masks).tolist() == [1, 0]
