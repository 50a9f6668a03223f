"""A network whose scores do not depend on the image: what its rounding leaves is no map."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import explainers

WATCHING = {
    "occlusion": {},
    "rise": {"masks": 128},
    "group-cam": {},
    "lime": {"samples": 40},
    "kernel-shap": {"samples": 40},
}


@pytest.fixture(scope="module", params=[4, 1], ids=["classes", "one score"])
def blind(request) -> nn.Module:
    """The mean of what instance norm makes is the norm's bias, whatever the image, to rounding."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        norm = nn.InstanceNorm2d(8, affine=True)
        nn.init.normal_(norm.bias)
        layers = [
            nn.Conv2d(3, 8, 3),
            nn.ReLU(),
            norm,
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, request.param),
        ]
        return nn.Sequential(*layers).eval()


@pytest.mark.parametrize("method", WATCHING)
def test_its_map_is_constant_and_said_to_be(blind, method):
    images = torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    explanation = explainers.explain(blind, images, method=method, **WATCHING[method])
    assert explanation.status == ("constant", "constant")


@pytest.mark.parametrize(
    "method", [each for each in WATCHING if each != "group-cam"]
)  # needs a layer, and here none matters
def test_a_small_effect_is_none_of_rounding(blind, method):
    class Nearly(nn.Module):
        def forward(self, x):
            scores = blind(x)
            return scores + 1e-3 * x[:, :1, 8:16, 8:16].mean((2, 3)) * torch.arange(1, scores.shape[1] + 1)

    images = torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    explanation = explainers.explain(Nearly(), images, method=method, **WATCHING[method])
    assert explanation.status == ("ok", "ok")
