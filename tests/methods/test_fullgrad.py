"""Full-Grad: completeness, the map against an explicit sum, and refusal where completeness fails."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from small import Chain, Functional, PreActivation, Residual, lively
from torch import nn

import explainers
from explainers.errors import UnsupportedError


@pytest.mark.parametrize("network", [Chain, Functional, Residual, PreActivation])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_contributions_of_image_and_biases_sum_to_the_score(network, dtype):
    model, images = lively(network()).to(dtype), torch.randn(3, 3, 16, 24, dtype=dtype)
    scores, sums = explainers.FullGrad(model).contributions(images, [[0, 1, 3]] * 3)
    torch.testing.assert_close(scores, model(images)[:, [0, 1, 3]].detach())
    torch.testing.assert_close(sums, scores, rtol=1e-4, atol=1e-5)


def test_map_of_a_chain_equals_the_sum_written_out():
    model, images = lively(Chain()), torch.randn(2, 3, 8, 12)
    images.requires_grad_()
    first = model.first(images)
    second = model.second(model.pool(first.relu()))
    score = model.head(second.relu().mean((2, 3)))[:, 2].sum()
    gradients = torch.autograd.grad(score, [images, first, second])

    def scaled(values):
        values = values.abs()
        low, high = values.amin((1, 2, 3), keepdim=True), values.amax((1, 2, 3), keepdim=True)
        return (values - low) / (high - low)

    expected = scaled(images.detach() * gradients[0]).sum(1)
    for layer, gradient in ((model.first, gradients[1]), (model.second, gradients[2])):
        term = scaled(layer.bias.detach()[None, :, None, None] * gradient)
        expected = expected + F.interpolate(term, size=(8, 12), mode="bilinear").sum(1)
    torch.testing.assert_close(explainers.create("full-grad", model)(images.detach(), 2), expected)


def test_batch_norms_bias_is_beta_minus_mean_gamma_over_sigma():
    model = lively(nn.Sequential(nn.BatchNorm2d(3), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    images = torch.zeros(1, 3, 4, 4)
    scores, sums = explainers.FullGrad(model).contributions(images, [[0, 1, 2]])
    norm = model[0]
    expected = norm.bias - norm.running_mean * norm.weight / (norm.running_var + norm.eps).sqrt()
    torch.testing.assert_close(sums[0], expected.detach())
    torch.testing.assert_close(scores, sums)


class Shifted(Chain):
    """A constant that no layer owns."""

    def forward(self, x):
        return self.head(self.features(x + 1).mean((2, 3)))


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(144, 3)),
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sigmoid(), nn.Flatten(), nn.Linear(144, 3)),
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.Flatten(), nn.Linear(144, 3)),
        Shifted(),
    ],
    ids=["gelu", "sigmoid", "group norm", "constant"],
)
def test_networks_for_which_the_sum_does_not_hold_are_refused(model):
    with pytest.raises(UnsupportedError, match="contributions sum to .* where the score is .* Use input-x-gradient"):
        explainers.create("full-grad", model)(torch.randn(1, 3, 8, 8))


def test_saturated_relu6_is_refused_and_unsaturated_is_not():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU6(), nn.Flatten(), nn.Linear(144, 3))
    images = torch.randn(1, 3, 8, 8)
    assert explainers.create("full-grad", model)(images).shape == (1, 8, 8)
    with pytest.raises(UnsupportedError, match="saturated ReLU6"):
        explainers.create("full-grad", model)(images * 100)


class Before(Chain):
    """A chain behind something that moves positions about."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def forward(self, x):
        return super().forward(self.change(x))


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.flip(3),
        lambda x: x.roll(3, 2),
        lambda x: x[:, :, 4:, 2:18],
        lambda x: F.pad(x, (8, 8, 8, 8)),
        lambda x: x.rot90(1, (2, 3)),
        lambda x: x[..., torch.randperm(x.shape[3], generator=torch.Generator().manual_seed(0))],
    ],
)
def test_layers_whose_positions_are_not_the_images_are_refused(change):
    with pytest.raises(UnsupportedError, match="cannot be tied to the image"):
        explainers.FullGrad(lively(Before(change)))(torch.randn(1, 3, 16, 24))


def test_of_a_network_that_turns_its_image_the_map_is_turned_back():
    turned = lively(Before(lambda x: x.mT))
    plain = lively(Chain())
    plain.load_state_dict(turned.state_dict())
    images = torch.randn(2, 3, 16, 24)
    wanted = explainers.FullGrad(plain)(images.mT.contiguous(), 1).mT
    torch.testing.assert_close(explainers.FullGrad(turned)(images, 1), wanted)


def test_a_mirrored_second_pass_is_refused():
    class Twice(Chain):
        def forward(self, x):
            return super().forward(x) + super().forward(x.flip(3))

    with pytest.raises(UnsupportedError, match="cannot be tied to the image"):
        explainers.FullGrad(lively(Twice()))(torch.randn(1, 3, 16, 24))
