"""Curves of insertion and deletion in all their forms: answers by hand, and slow loops."""

from __future__ import annotations

import numpy as np
import pytest
import slow_curves as slow
import torch
from curve_cases import ALL, case, value
from small import Chain, lively
from torch import nn

import explainers
from explainers import create_metric
from explainers.errors import OptionError
from explainers.passes.substrate import blurred


class Linear(nn.Module):
    """Scores Σ w·x and 0."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x):
        score = (x * self.weight).sum((1, 2, 3))
        return torch.stack([score, torch.zeros_like(score)], 1)


class Constant(nn.Module):
    """The same scores for everything."""

    def forward(self, x):
        return torch.tensor([[1.0, 2.0, 0.5]]).expand(len(x), -1)


def linear():
    weight = torch.randn(2, 5, 6, dtype=torch.float64)
    images = (torch.rand(4, 2, 5, 6) > 0.4).double()
    parts = (images * weight).sum(1)
    return Linear(weight), images, parts


def test_the_curves_of_a_linear_score_are_sorted_cumulative_sums():
    network, images, parts = linear()
    gains = torch.cat([torch.zeros(4, 1), parts.flatten(1).sort(1, descending=True).values.cumsum(1)], 1)
    risen = value("insertion", network, images, parts, 0, activation=None, baseline="zero", steps=ALL)
    fallen = value("deletion", network, images, parts, 0, activation=None, steps=ALL)
    torch.testing.assert_close(risen, torch.trapezoid(gains, dx=1 / 30))
    torch.testing.assert_close(fallen, torch.trapezoid(gains[:, -1:] - gains, dx=1 / 30))


def test_a_constant_model_scores_its_probability_whatever_the_map():
    maps, images = torch.randn(3, 5, 4), torch.randn(3, 3, 5, 4)
    wanted = torch.tensor([1.0, 2.0, 0.5]).softmax(0)[1].double().expand(3)
    for name in ("insertion", "deletion", "morf", "lerf"):
        torch.testing.assert_close(value(name, Constant(), images, maps, 1), wanted, atol=1e-7, rtol=0)
    for name in ("id-score", "road", "pixel-perturbation", "average-drop", "increase"):
        assert value(name, Constant(), images, maps, 1).abs().max() < 1e-7
    assert value("pid", Constant(), images, maps, 1).abs().max() < 1e-7


def test_a_short_last_step_counts_as_what_it_is():
    """4 × 4 pixels in 3 steps: 0, 5, 11 and 16 pixels."""
    network, images, maps = lively(Chain()).double(), torch.randn(1, 3, 4, 4).double(), torch.randn(1, 4, 4)
    whole = slow.curve(network, images[0], torch.zeros(3, 4, 4).double(), maps[0], 1)
    at = [0, 5, 11, 16]
    wanted = np.trapezoid(whole[at], np.array(at) / 16)
    assert float(value("deletion", network, images, maps, 1, steps=3)) == pytest.approx(float(wanted), abs=1e-9)


def test_insertion_starts_from_the_papers_blur_and_deletion_ends_at_zero_by_default():
    network, images, maps, targets = case("chain")
    risen = value("insertion", network, images, maps, targets, steps=ALL)
    fallen = value("deletion", network, images, maps, targets, steps=ALL)
    start = blurred(images, 11, 5.0)
    for row, target in enumerate(targets):
        up = slow.curve(network, start[row], images[row], maps[row], target)
        down = slow.curve(network, images[row], torch.zeros_like(images[row]), maps[row], target)
        assert float(risen[row]) == pytest.approx(slow.trapezoid(up), abs=1e-9)
        assert float(fallen[row]) == pytest.approx(slow.trapezoid(down), abs=1e-9)
    both = value("id-score", network, images, maps, targets, steps=ALL)
    torch.testing.assert_close(both, risen - fallen)


def test_morf_is_deletion_and_lerf_removes_from_the_other_end():
    network, images, maps, targets = case("residual")
    assert torch.equal(
        value("morf", network, images, maps, targets, steps=ALL),
        value("deletion", network, images, maps, targets, steps=ALL),
    )
    least = value("lerf", network, images, maps, targets, steps=ALL)
    for row, target in enumerate(targets):
        pixels = [pixel for (pixel,) in slow.order(maps[row])][::-1]
        image, values = images[row].clone(), [slow.probability(network, images[row], target)]
        for y, x in pixels:
            image[:, y, x] = 0
            values.append(slow.probability(network, image, target))
        assert float(least[row]) == pytest.approx(slow.trapezoid(np.array(values)), abs=1e-9)


def test_pixel_perturbation_removes_the_least_important_share():
    network, images, maps, targets = case("tokens")
    found = value("pixel-perturbation", network, images, maps, targets, percent=(10, 50))
    for row, target in enumerate(targets):
        pixels = [pixel for (pixel,) in slow.order(maps[row])][::-1]
        clean, changes = slow.probability(network, images[row], target), []
        for share in (0.1, 0.5):
            image = images[row].clone()
            for y, x in pixels[: len(pixels) - round((1 - share) * len(pixels))]:
                image[:, y, x] = 0
            changes.append(abs(clean - slow.probability(network, image, target)) / clean)
        assert float(found[row]) == pytest.approx(np.mean(changes), abs=1e-9)


@pytest.mark.parametrize("baseline", ["zero", "mean", "blur", "noise", torch.ones(3, 7, 9)])
def test_a_curve_ends_at_the_baseline_it_names(baseline):
    network, images, maps, targets = case("chain")
    maps[2] = maps[0].flip(0)  # a constant map has no curve in an evaluation
    result = explainers.evaluate(
        network, images, {"given": lambda *_: maps}, [create_metric("deletion", baseline=baseline, steps=4)], targets
    )
    rows = [row for row in result.rows if row["explainer"] == "given"]
    ends = [row["curve"].values[-1] for row in rows]
    assert len(set(ends)) == 3
    assert rows[0]["baseline"].split()[0] == (baseline if isinstance(baseline, str) else "image")
    if baseline == "zero":
        wanted = [slow.probability(network, torch.zeros(3, 7, 9).double(), target) for target in targets]
        assert ends == pytest.approx(wanted, abs=1e-9)
    if not isinstance(baseline, str):
        wanted = [slow.probability(network, baseline.double(), target) for target in targets]
        assert ends == pytest.approx(wanted, abs=1e-9)


def test_black_is_what_the_networks_preprocessing_makes_of_a_black_pixel():
    model = explainers.load_model("embedded", device="cpu")
    images, maps = torch.randn(2, 3, 96, 96), torch.rand(2, 96, 96)
    black = create_metric("deletion", baseline="black", steps=3)
    result = explainers.evaluate(model, images, {"given": lambda *_: maps}, [black], [1, 2])
    dark = model.preprocessing(np.zeros((96, 96, 3), np.uint8))
    for row, target in zip([row for row in result.rows if row["explainer"] == "given"], (1, 2), strict=True):
        assert row["curve"].values[-1] == pytest.approx(slow.probability(model.network, dark, target), abs=1e-6)
    with pytest.raises(OptionError, match="the network's normalisation is not known"):
        explainers.evaluate(model.network, images, {"given": lambda *_: maps}, [black], [1, 2])


def test_percentages_that_are_one_number_of_pixels_count_each():
    """Of seven pixels: 1, 10 and 20 percent are 0, 1 and 1 of them; a linear score, so that each costs its own share."""
    weights = torch.tensor([1.0, 2, 4, 8, 16, 32, 64]) / 254
    image, network = torch.ones(1, 1, 1, 7), lambda x: 0.5 + (x[:, 0, 0] * weights).sum(1, keepdim=True)
    metric = create_metric("pixel-perturbation", percent=(1, 10, 20, 30))
    lost = [sum(weights[:count].tolist()) / network(image).item() for count in (0, 1, 1, 2)]
    found = metric(network, image, weights.view(1, 1, 7), [0], activation=None)
    assert found.item() == pytest.approx(sum(lost) / 4, rel=1e-5)
