"""ROAD against pytorch-grad-cam's."""

from __future__ import annotations

import pytest
import torch
from pytorch_grad_cam.metrics.road import ROADCombined
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
from small import Residual, lively

from explainers import create_metric


def test_road_is_that_of_pytorch_grad_cam_where_the_pixels_removed_are_the_same():
    """No ties, so its percentiles remove what our counts do; twice theirs, which halves the difference."""
    model, images = lively(Residual()), torch.randn(2, 3, 20, 20)
    maps = torch.stack([torch.randperm(400).view(20, 20).float() for _ in range(2)])
    found = create_metric("road", noise=0.0, percent=(25, 50, 75))(model, images, maps, [1, 2])
    theirs = ROADCombined(percentiles=[25, 50, 75])
    targets = [ClassifierOutputSoftmaxTarget(1), ClassifierOutputSoftmaxTarget(2)]
    with torch.no_grad():
        wanted = 2 * theirs(images, maps.numpy() / 400, targets, model)
    assert found.tolist() == pytest.approx(wanted.tolist(), abs=0.02)  # their noise cannot be switched off
