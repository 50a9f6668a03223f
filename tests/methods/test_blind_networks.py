"""A network whose scores do not depend on the image: what its rounding leaves is no map."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

import explainers
from explainers.errors import UnsupportedError
from explainers.targets import ClassScore, Difference

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


GRADIENTS = {
    "saliency": {},
    "input-x-gradient": {},
    "smooth-grad": {"samples": 2},
    "guided-backprop": {},
    "deconvolution": {},
    "captum:IntegratedGradients": {"n_steps": 4},
}


@pytest.mark.parametrize("precision", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("method", GRADIENTS)
def test_its_gradient_is_zero(blind, method, precision):
    images = torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    network = copy.deepcopy(blind).to(precision)
    explanation = explainers.explain(network, images.to(precision), method=method, **GRADIENTS[method])
    assert explanation.status == ("constant", "constant")
    assert not explanation.maps.any()


class One(nn.Module):
    """Four ways to a score that no image moves, and one that it does."""

    def __init__(self, way):
        super().__init__()
        self.features, self.head, self.way = nn.Conv2d(3, 6, 5), nn.Linear(6, 3), way
        self.norm = nn.InstanceNorm2d(6, affine=True)

    def forward(self, x):
        x = self.features(x).relu()
        return self.head(self.way(self, x))


WAYS = {
    "norm over one position": lambda net, x: net.norm(x.mean((2, 3), keepdim=True).expand(-1, -1, 2, 2)).mean((2, 3)),
    "sum of a softmax": lambda net, x: x.flatten(2).softmax(2).sum(2),
    "difference": lambda net, x: x.mean((2, 3)) - x.flatten(2).sum(2) / x[0, 0].numel(),
}


@pytest.mark.parametrize("method", ["saliency", "occlusion", "grad-cam", "lime"])
@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_such_a_score_is_seen(way, method):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = One(WAYS[way]).eval()
    images = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    assert explainers.explain(network, images, method=method, **WATCHING.get(method, {})).status == ("constant",)


def test_a_gradient_of_a_saturated_probability_is_none_of_rounding():
    """Of softmax(s)_0 at s = (0, −40): p of the other class, e⁻⁴⁰, times the gradients, though float32 holds p_0 = 1."""

    class Saturated(nn.Module):
        def forward(self, x):
            score = x.mean((1, 2, 3))
            return torch.stack([torch.zeros_like(score), score - 40], dim=1).softmax(1)

    images = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    maps = explainers.create("saliency", Saturated())(images, 1)
    wanted = math.exp(float(images.mean()) - 40) / 64
    torch.testing.assert_close(maps, torch.full((1, 8, 8), wanted), rtol=1e-4, atol=0)


def test_it_is_refused_where_no_other_precision_can_tell(blind):
    class Insisting(torch.autograd.Function):
        @staticmethod
        def forward(_, x):
            if x.dtype != torch.float32:
                raise TypeError("float32 alone")
            return x + 0

        @staticmethod
        def backward(_, grad):
            return grad

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = blind

        def forward(self, x):
            return self.inner(Insisting.apply(x))

    images = torch.randn(1, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    with pytest.raises(UnsupportedError, match="do not move with the image"):
        explainers.create("saliency", Network().eval())(images)
    assert explainers.explain(Network().eval(), images, method="occlusion").status == ("constant",)


class Many(nn.Module):
    """A thousand classes, of which some score alike on any two images, and its passes by the images in them."""

    def __init__(self):
        super().__init__()
        self.features, self.head, self.passes = nn.Conv2d(3, 8, 5), nn.Linear(8, 1000), []

    def forward(self, x):
        self.passes.append(len(x))
        return self.head(self.features(x).relu().mean((2, 3)))


ASKED = {
    "predicted": None,
    "index": 3,
    "function": lambda scores: scores.argmin(1),
    "difference": Difference(3, 5),
    "predicted, as an object": ClassScore(),
}


@pytest.mark.parametrize("targets", ASKED.values(), ids=ASKED)
def test_a_network_of_many_classes_is_passed_once_for_a_map(targets):
    """A predicted class as an object is settled in a pass of its own."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Many().eval()
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    explainer = explainers.create("saliency", network)
    explainer(images, targets)
    network.passes.clear()
    explainer(images, targets)
    assert network.passes == [2] * (2 if isinstance(targets, ClassScore) else 1)
