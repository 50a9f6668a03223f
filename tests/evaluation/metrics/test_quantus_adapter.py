"""Metrics of Quantus here, and our explainers there."""

from __future__ import annotations

import numpy as np
import pytest
import quantus
import torch
from small import Residual, lively
from snapshot import same, snapshot

import explainers
from explainers import create_metric
from explainers.errors import OptionError, UnsupportedError


def test_quantus_metrics_run_in_the_engine():
    model, images = lively(Residual()).train(), torch.randn(3, 3, 12, 12)
    masks = torch.rand(3, 12, 12) > 0.5
    before = snapshot(model)
    metrics = [
        "quantus:Sparseness",
        "sparseness",
        create_metric("quantus:RelevanceMassAccuracy", abs=True),
        "quantus:Complexity",
        "complexity",
    ]
    result = explainers.evaluate(model, images, {"saliency": "saliency"}, metrics, masks=masks)
    assert same(snapshot(model), before)
    for one, two in (("sparseness", "quantus:Sparseness"), ("complexity", "quantus:Complexity")):
        ours, theirs = (list(result.values(name)["saliency"].values()) for name in (one, two))
        assert theirs == pytest.approx(ours, abs=1e-4)
    assert set(result.values("quantus:RelevanceMassAccuracy")) == {"random", "center", "edges", "saliency"}
    assert result.metrics["quantus:Complexity"].better == "lower"
    assert result.metrics["quantus:Sparseness"].better == "higher"


def test_a_quantus_metric_without_a_value_per_image_is_refused():
    model, images = lively(Residual()), torch.randn(2, 3, 12, 12)
    with pytest.raises(OptionError, match="gives no single value per image; for curves pass return_auc_per_sample"):
        explainers.evaluate(model, images, ["saliency"], [create_metric("quantus:PixelFlipping", features_in_step=48)])
    with pytest.raises(OptionError, match="Quantus has no metric 'Nonsense'; there are AttributionLocalisation|AUC"):
        create_metric("quantus:Nonsense")
    with pytest.raises(OptionError, match="quantus:Sparseness has no option nonsense; its options are"):
        create_metric("quantus:Sparseness", nonsense=1)


def test_what_quantus_stumbles_over_is_told_as_its_own():
    images, maps = torch.randn(2, 3, 12, 12), {"mine": lambda x, t: x.mean(1)}
    with pytest.raises(UnsupportedError, match="Quantus knows no black boxes"):
        explainers.evaluate(lambda x: torch.stack([x.mean((1, 2, 3))] * 2, 1), images, maps, ["quantus:Sparseness"])
    metric = create_metric("quantus:Sparseness", normalise_func=lambda a, **_: a / [])
    with pytest.raises(UnsupportedError, match="quantus:Sparseness failed inside Quantus: "):
        explainers.evaluate(lively(Residual()), images, maps, [metric])


def test_our_explainers_run_in_quantus():
    model, images = lively(Residual()), torch.randn(2, 3, 12, 12)
    targets = np.array([1, 3])
    func = explainers.quantus_explain_func("saliency")
    maps = func(model, images.numpy(), targets)
    assert np.allclose(maps[:, 0], explainers.Saliency(model)(images, [1, 3]).numpy(), atol=1e-6)
    metric = quantus.MaxSensitivity(nr_samples=2, disable_warnings=True)
    values = metric(model=model, x_batch=images.numpy(), y_batch=targets, a_batch=None, explain_func=func, device="cpu")
    assert len(values) == 2
    assert all(0 < value < 10 for value in values)
