"""What a network does not take is told in one error, by every door; what it takes is tried only then."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import nn

import explainers
from explainers.errors import ImageError, OptionError, OutputError, TargetError, UnsupportedError


class Small(nn.Module):
    """A classifier that notes the batches it is given."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
        self.head = nn.Linear(4, 3)
        self.seen = []

    def forward(self, images):
        self.seen.append(len(images))
        return self.head(self.features(images).mean((2, 3)))


class OfEight(Small):
    def forward(self, images):
        if len(images) != 8:
            raise ValueError("eight, please")
        return super().forward(images)


class Without(torch.autograd.Function):
    """x² without a backward pass."""

    @staticmethod
    def forward(ctx, values):
        return values**2


def made(kind):
    torch.manual_seed(0)
    return kind().eval()


IMAGES = torch.rand(2, 1, 12, 12, generator=torch.Generator().manual_seed(1))
METHODS = ["grad-cam", "saliency", "occlusion"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [1, 2, 8])
def test_a_batch_that_is_fixed_is_named_with_its_remedy_which_gives_the_same_maps(method, count):
    images = IMAGES.repeat(4, 1, 1, 1)[:count]
    wanted = explainers.create(method, made(Small))(images, 1)
    network = made(OfEight)
    if (method, count) != ("saliency", 8):  # one pass of the eight is all it takes
        with pytest.raises(
            ImageError, match=r"takes batches of 8, and not of 1, 2; set network.fixed_batch = 8.*eight"
        ):
            explainers.create(method, network)(images, 1)
    network.fixed_batch = 8
    torch.testing.assert_close(explainers.create(method, network)(images, 1), wanted, rtol=1e-4, atol=1e-6)


def test_every_door_says_so():
    network, told = made(OfEight), "takes batches of 8, and not of 1"
    with pytest.raises(ImageError, match=told):
        explainers.explain(network, IMAGES, method="saliency")
    with pytest.raises(OutputError, match=f"every image .*{told}"):
        explainers.evaluate(network, IMAGES, ["saliency"], ["deletion"])


@pytest.mark.parametrize("method", METHODS)
def test_images_that_are_too_small_are_named_with_a_size_that_works(method):
    with pytest.raises(ImageError, match=r"fails on images of shape \(1, 2, 2\): RuntimeError: .* runs on 32 × 32"):
        explainers.create(method, made(Small))(torch.rand(2, 1, 2, 2), 1)


def test_a_fault_of_a_function_of_the_users_stays_what_it_is():
    explainer = explainers.create("saliency", made(Small), output=lambda scores: scores.nothing)
    with pytest.raises(AttributeError, match="nothing"):
        explainer(IMAGES, 1)


def test_no_large_batch_of_large_images_is_tried():
    class Refusing(Small):
        def forward(self, images):
            super().forward(images)
            raise ValueError("never")

    network = made(Refusing)
    with pytest.raises(ImageError, match="fails on images of shape .*: ValueError: never"):
        explainers.create("saliency", network)(torch.rand(1, 1, 1100, 1100), 1)
    assert max(network.seen) <= 6


def test_layers_without_weights_and_programs_are_refused():
    lazy = nn.Sequential(nn.LazyConv2d(3, 3), nn.Flatten(), nn.LazyLinear(2)).eval()
    with pytest.raises(UnsupportedError, match=r"lazy layers without weights \(0.weight, 0.bias, 2.weight\)"):
        explainers.create("grad-cam", lazy)
    with pytest.raises(OptionError, match="torch.export.unflatten"):
        explainers.create("saliency", torch.export.export(made(Small), (IMAGES,)))


def test_a_function_without_a_backward_pass_leaves_the_methods_without_gradients():
    class Squared(Small):
        def forward(self, images):
            return self.head(Without.apply(self.features(images)).mean((2, 3)))

    for method in ("grad-cam", "saliency"):
        with pytest.raises(UnsupportedError, match="has no backward pass.*occlusion"):
            explainers.create(method, made(Squared))(IMAGES, 1)
    assert explainers.create("occlusion", made(Squared))(IMAGES, 1).shape == (2, 12, 12)


def test_values_that_are_none_are_refused():
    explainer = explainers.create("saliency", made(Small))
    with pytest.raises(ImageError, match="to_dense"):
        explainer(IMAGES.to_sparse(), 1)
    with pytest.raises(TargetError, match="meta device"):
        explainer(IMAGES, torch.tensor([1, 2], device="meta"))
    torch.testing.assert_close(explainer(IMAGES, np.array([1, 2], np.uint8)), explainer(IMAGES, [1, 2]))


class Turned(nn.Module):
    """A network that has its channels last, at its door."""

    def __init__(self, convolution):
        super().__init__()
        self.conv, self.head = convolution, nn.Linear(4, 3)

    def forward(self, values):
        return self.head(self.conv(values.movedim(-1, 1)).relu().flatten(2).mean(2))


@pytest.mark.parametrize("method", METHODS)
def test_images_with_their_channels_last_are_refused_with_what_to_write(method):
    network = Turned(nn.Conv2d(3, 4, 3)).eval()
    images = torch.rand(2, 16, 24, 3)
    with pytest.raises(ImageError, match=r"channels last.*movedim\(1, -1\)"):
        explainers.create(method, network)(images)

    class First(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, x):
            return self.network(x.movedim(1, -1))

    plain = nn.Sequential(network.conv, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), network.head).eval()
    turned = images.movedim(-1, 1)
    options = {"layer": "0"} if method == "grad-cam" else {}
    wanted = explainers.create(method, plain, **options)(turned, 1)
    torch.testing.assert_close(explainers.create(method, First().eval())(turned, 1), wanted)


def test_signals_with_their_channels_last_are_warned_of_and_others_are_not():
    network = Turned(nn.Conv1d(3, 4, 3)).eval()
    with pytest.warns(UserWarning, match="channels last"):
        explainers.create("saliency", network)(torch.rand(2, 40, 3))
    plain = nn.Sequential(nn.Conv1d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 3)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explainers.create("saliency", plain)(torch.rand(2, 3, 40))
