"""Captum's metrics against their definitions in loops."""

from __future__ import annotations

import pytest
import torch
from small import Residual, lively

import explainers
from explainers import create_metric
from explainers.evaluation.measuring.fillings import image_seed


def drawn(image, samples, draw):
    return draw((samples, *image.shape), generator=torch.Generator().manual_seed(image_seed(image, 0)))


def test_infidelity_is_the_error_of_the_best_scaled_map():
    model, images, maps = lively(Residual()), torch.randn(3, 3, 9, 8), torch.randn(3, 9, 8)
    found = create_metric("infidelity", samples=6, noise=0.2)(model, images, maps, [0, 3, 1])
    for row, target in enumerate([0, 3, 1]):
        products, falls = [], []
        clean = model(images[row : row + 1]).softmax(1)[0, target]
        for noise in 0.2 * drawn(images[row], 6, torch.randn):
            products.append((noise * maps[row]).sum())
            falls.append(clean - model((images[row] - noise)[None]).softmax(1)[0, target])
        one, two = torch.stack(products), torch.stack(falls)
        scale = (one * two).mean() / (one * one).mean()
        assert float(found[row]) == pytest.approx(float(((scale * one - two) ** 2).mean()), rel=1e-3)


def test_max_sensitivity_is_the_largest_relative_change_of_the_map():
    model, images = lively(Residual()), torch.randn(3, 3, 9, 8)
    explainer = explainers.Saliency(model)
    metric = create_metric("max-sensitivity", samples=4, radius=0.1)
    found = explainers.evaluate(model, images, {"saliency": explainer}, [metric], [0, 3, 1], batch_size=2)
    for row, target in enumerate([0, 3, 1]):
        map_ = explainer(images[row : row + 1], target)
        changes = []
        for noise in 0.1 * (2 * drawn(images[row], 4, torch.rand) - 1):
            assert noise.abs().max() <= 0.1
            changes.append(float((map_ - explainer((images[row] + noise)[None], target)).norm() / map_.norm()))
        assert found.values("max-sensitivity")["saliency"][str(row)] == pytest.approx(max(changes), rel=1e-3)


def test_the_same_map_of_every_image_does_not_move_and_a_constant_one_is_not_scored():
    model, images = lively(Residual()), torch.randn(2, 3, 9, 8)
    same = {
        "slope": lambda x, t: torch.arange(72.0).view(1, 9, 8).expand(len(x), 9, 8),
        "flat": lambda x, t: torch.ones(len(x), 9, 8),
    }
    result = explainers.evaluate(model, images, same, ["max-sensitivity"])
    assert set(result.values("max-sensitivity")["slope"].values()) == {0.0}
    assert {row["status"] for row in result.rows if row["explainer"] == "flat"} == {"constant"}


@pytest.mark.parametrize("factor", [1e-30, 1e37])
def test_neither_measure_knows_in_what_units_a_map_is(factor):
    model, images = lively(Residual()), torch.randn(2, 3, 9, 8)
    found = [
        explainers.evaluate(
            model,
            images,
            {"maps": lambda given, _, by=by: by * (given.sum(1) / given.abs().sum(1).amax())},
            [create_metric(name, samples=3) for name in ("infidelity", "max-sensitivity")],
            [0, 1],
        )
        for by in (1.0, factor)
    ]
    for name in ("infidelity", "max-sensitivity"):
        one, other = (list(each.values(name)["maps"].values()) for each in found)
        assert other == pytest.approx(one, rel=1e-3)
