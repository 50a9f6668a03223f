"""Guided Backprop and its relatives against custom autograd functions, captum, and a rule worked out by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from oracles import ruled_gradient
from small import Chain, Functional, PreActivation, Residual, lively
from torch import nn

import explainers
from explainers.errors import OptionError, UnsupportedError

RULES = {"guided-backprop": "guided", "deconvolution": "deconvolution", "guided-backprop-minus": "guided-minus"}
SPELLINGS = {
    "F.relu": F.relu,
    "torch.relu": torch.relu,
    "x.relu()": lambda x: x.relu(),
    "x.relu_()": lambda x: x.clone().relu_(),
    "x.clamp(min=0)": lambda x: x.clamp(min=0),
    "x.clamp_min(0)": lambda x: x.clamp_min(0),
    "clamp(x, 0, 6)": lambda x: torch.clamp(x, 0, 6),
    "F.relu6": F.relu6,
    "F.hardtanh(0, 4)": lambda x: F.hardtanh(x, 0, 4),
    "F.threshold": lambda x: F.threshold(x, 0, 0),
    "nn.ReLU": nn.ReLU(),
    "nn.ReLU6": nn.ReLU6(),
}


class Spelled(nn.Module):
    """Two convolutions with one activation used twice."""

    def __init__(self, activation) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 8, 3)
        self.activation = activation
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        x = self.activation(self.second(self.activation(self.first(x))))
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize("method", RULES)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_a_relu_follows_the_rule(method, spelling):
    model, images = Spelled(SPELLINGS[spelling]), torch.randn(2, 3, 11, 14)
    targets = torch.tensor([1, 2])
    maps = explainers.create(method, model, channels=None)(images, targets)
    expected = ruled_gradient(model, images, targets, RULES[method])
    assert float(expected.abs().max()) > 0
    torch.testing.assert_close(maps, expected, rtol=1e-5, atol=1e-6 * float(expected.abs().max()))


@pytest.mark.parametrize("method", RULES)
@pytest.mark.parametrize("network", [Chain, Functional, Residual, PreActivation])
def test_networks_with_skips_shared_and_in_place_relus_follow_the_rule(method, network):
    model, images = lively(network()), torch.randn(2, 3, 16, 24)
    targets = torch.tensor([1, 3])
    maps = explainers.create(method, model, channels=None)(images, targets)
    expected = ruled_gradient(model, images, targets, RULES[method])
    torch.testing.assert_close(maps, expected, rtol=1e-5, atol=1e-6 * float(expected.abs().max()))


def test_guided_backprop_and_deconvolution_equal_captums_on_relu_modules():
    attr = pytest.importorskip("captum.attr")
    model, images = lively(Chain()), torch.randn(2, 3, 16, 24)
    for ours, theirs in (("guided-backprop", attr.GuidedBackprop), ("deconvolution", attr.Deconvolution)):
        expected = theirs(model).attribute(images, target=2)
        assert torch.equal(explainers.create(ours, model, channels=None)(images, 2), expected)


def test_the_rules_on_numbers_worked_out_by_hand():
    # score = −1·relu(x) + 2·relu(−x) + 3·relu(x + 1): gradients reach the ReLUs as −1, 2 and 3.
    class Hand(nn.Module):
        def forward(self, x):
            x = x.flatten(1)
            return (-torch.relu(x) + 2 * torch.relu(-x) + 3 * torch.relu(x + 1)).sum(1, keepdim=True)

    images = torch.tensor([2.0, -0.5, -3.0]).view(1, 1, 1, 3)
    answers = {
        "guided-backprop": [3.0, -2 + 3, -2.0],  # relus that are on: {1, 3}, {2, 3}, {2}; only positive gradients pass
        "guided-backprop-minus": [-1.0, 0.0, 0.0],
        "deconvolution": [1.0, 1.0, 1.0],  # −2 + 3 wherever x is
        "saliency": [2.0, -2 + 3, -2.0],
    }
    for method, answer in answers.items():
        maps = explainers.create(method, Hand(), channels=None)(images, 0)
        torch.testing.assert_close(maps.flatten(), torch.tensor(answer), msg=method)


@pytest.mark.parametrize(
    ("activation", "message"),
    [
        (nn.GELU(), "smooth rectifiers .2 Gelu. and no ReLU"),
        (nn.SiLU(), "2 Silu"),
        (nn.Hardswish(), "2 Hardswish"),
        (nn.LeakyReLU(), "2 LeakyRelu"),
        (nn.ELU(), "2 Elu"),
        (nn.Tanh(), "no ReLU was met.*Use saliency"),
        (lambda x: x.clamp(min=-1), "no ReLU was met"),
        (lambda x: torch.maximum(x, torch.zeros(())), "closed .2 Maximum"),
        (lambda x: torch.where(x > 0, x, 0), "closed .2 Where"),
    ],
)
@pytest.mark.parametrize("method", [*RULES, "guided-grad-cam"])
def test_networks_without_strict_relus_are_refused(method, activation, message):
    with pytest.raises(UnsupportedError, match=message):
        explainers.create(method, Spelled(activation))(torch.randn(1, 3, 11, 14))


def test_a_custom_function_could_hide_a_relu_and_is_refused():
    class Own(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.clamp(min=0)

        @staticmethod
        def backward(ctx, g):
            return g * (ctx.saved_tensors[0] > 0)

    with pytest.raises(UnsupportedError, match="closed"):
        explainers.create("guided-backprop", Spelled(Own.apply))(torch.randn(1, 3, 11, 14))


def test_smooth_rectifiers_can_be_ruled_or_passed_on_request():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.head = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 8, 3), nn.Linear(8, 4)

        def forward(self, x):
            return self.head(F.silu(self.second(F.relu(self.first(x)))).mean((2, 3)))

    model, images = Mixed(), torch.randn(1, 3, 11, 14)
    with pytest.raises(UnsupportedError, match="1 Silu. beside 1 Relu"):
        explainers.create("guided-backprop", model)(images)
    passed = explainers.create("guided-backprop", model, smooth="pass", channels=None)(images, 1)
    expected = ruled_gradient(model, images, torch.tensor([1]), "guided")
    torch.testing.assert_close(passed, expected, rtol=1e-5, atol=1e-7)
    ruled = explainers.create("guided-backprop", model, smooth="rectify", channels=None)(images, 1)
    assert not torch.allclose(ruled, passed)
    with pytest.raises(OptionError, match="refuse, rectify, pass"):
        explainers.create("guided-backprop", model, smooth="maybe")


def test_scripted_and_exported_networks_follow_the_rule():
    model, images = lively(Chain()), torch.randn(2, 3, 16, 24)
    expected = explainers.create("guided-backprop", model)(images, 1)
    scripted = torch.jit.trace(model, images)
    torch.testing.assert_close(explainers.create("guided-backprop", scripted)(images, 1), expected)
    program = torch.export.unflatten(torch.export.export(model, (images,)))
    torch.testing.assert_close(explainers.create("guided-backprop", program)(images, 1), expected)
    torch.testing.assert_close(
        explainers.create("grad-cam", program, layer="last")(images, 1),
        explainers.create("grad-cam", model, layer="last")(images, 1),
    )


def test_guided_grad_cam_is_the_product_of_its_parts():
    model, images = lively(Residual()), torch.randn(2, 3, 16, 24)
    place = explainers.create("grad-cam", model)(images, 1)
    detail = explainers.create("guided-backprop", model, channels=None)(images, 1)
    both = explainers.create("guided-grad-cam", model, channels=None)(images, 1)
    torch.testing.assert_close(both, place[:, None] * detail, rtol=1e-5, atol=1e-9)
    largest = explainers.create("guided-grad-cam", model)(images, 1)
    torch.testing.assert_close(largest, both.abs().amax(1))
