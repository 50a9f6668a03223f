"""Explainers of other packages."""

from __future__ import annotations

import captum.attr
import pytest
import torch
import torchcam.methods
from pytorch_grad_cam import GradCAM as TheirGradCAM
from small import Chain, lively

import explainers
from explainers import create_metric
from explainers.evaluation.metrics.sparseness import gini


def test_their_explainers_are_scored_as_they_are():
    model, images = lively(Chain()), torch.randn(3, 3, 16, 20)
    chosen = {
        "ours": explainers.GradCAM(model, layer="last"),
        "pytorch-grad-cam": TheirGradCAM(model, [model.last]),
        "captum": captum.attr.InputXGradient(model),
        "captum-layer": captum.attr.LayerGradCam(model, model.last),
        "torch-cam": torchcam.methods.GradCAM(model, "last"),
    }
    result = explainers.evaluate(model, images, chosen, [create_metric("deletion", steps=8), "sparseness"], [1, 0, 4])
    assert all(row["status"] == "ok" for row in result.rows)
    product = explainers.InputXGradient(model, channels="sum")(images, [1, 0, 4])
    assert list(result.values("sparseness")["captum"].values()) == pytest.approx(gini(product).tolist(), rel=1e-4)
    values = result.values("deletion")
    ours = list(values["ours"].values())
    # theirs enlarge and scale the map in ways of their own, so that pixels of about equal value change places
    assert list(values["captum-layer"].values()) == pytest.approx(ours, abs=0.02)
    assert list(values["torch-cam"].values()) == pytest.approx(ours, abs=0.02)
    assert list(values["pytorch-grad-cam"].values()) == pytest.approx(ours, abs=0.02)
