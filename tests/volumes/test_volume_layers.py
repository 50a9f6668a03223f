"""Positions of volumes and signals in odd layers, and inputs that are none."""

from __future__ import annotations

import re

import pytest
import torch
import torch.nn.functional as F
from volume_case import made, settled

import explainers
from explainers.errors import ImageError, LayerError


@pytest.mark.parametrize("name", ["volume", "signal"])
def test_a_single_input_without_batch_dimension_is_refused(name):
    network, inputs = made(name)
    with pytest.raises(ImageError, match="add the batch dimension: images"):
        explainers.Saliency(network)(inputs[0])


def test_other_numbers_of_dimensions_are_refused():
    network, _ = made("volume")
    with pytest.raises(
        ImageError, match=r"expected images of shape \(N, C, H, W\), of volumes \(N, C, D, H, W\) or of"
    ):
        explainers.Saliency(network)(torch.rand(2, 2, 2, 3, 4, 5))


def test_the_notebooks_door_gives_the_maps_of_the_method():
    for name in ("volume", "signal"):
        network, inputs = made(name)
        found = explainers.explain(network, inputs, "grad-cam")
        assert torch.equal(found.maps, explainers.create("grad-cam", network)(inputs))


class Spectrogram(torch.nn.Module):
    """A network of signals that looks at their spectrogram."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.Linear(4, 2)

    def forward(self, x):
        spectrum = torch.stft(x[:, 0], 16, 4, window=torch.hann_window(16), return_complex=True).abs()
        return self.head(self.conv(spectrum[:, None]).relu().mean((2, 3)))


def test_positions_of_a_spectrogram_are_not_taken_for_those_of_the_signal():
    network, signals = settled(Spectrogram()), torch.randn(1, 1, 64)
    assert explainers.Saliency(network)(signals, 0).shape == (1, 64)
    assert explainers.RISE(network, masks=16, grid=3)(signals, 0).shape == (1, 64)
    with pytest.raises(LayerError, match="spatial"):
        explainers.GradCAM(network)(signals, 0)
    along = explainers.GradCAM(network, layer="conv", spatial=lambda value: value.mean(2))(signals, 0)
    assert along.shape == (1, 64)


class Transformer(torch.nn.Module):
    """Patches of a signal, a class token, and attention among them."""

    def __init__(self, prefix: int = 1) -> None:
        super().__init__()
        self.patches = torch.nn.Conv1d(2, 8, 4, stride=4)
        self.token = torch.nn.Parameter(torch.randn(1, prefix, 8))
        self.block = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.norm, self.head = torch.nn.LayerNorm(8), torch.nn.Linear(8, 3)

    def forward(self, x):
        tokens = self.patches(x).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(x), -1, -1), tokens], dim=1)
        return self.head(self.norm(self.block(tokens)).mean(1))


class VolumeTransformer(torch.nn.Module):
    """Patches of a volume with a class token in front of them."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = torch.nn.Conv3d(1, 8, (2, 4, 4), stride=(2, 4, 4))
        self.token = torch.nn.Parameter(torch.randn(1, 1, 8))
        self.block = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.head = torch.nn.Linear(8, 3)

    def forward(self, x):
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        return self.head(self.block(torch.cat([self.token.expand(len(x), -1, -1), tokens], dim=1)).mean(1))


def test_tokens_of_a_volume_are_its_positions_slice_by_slice():
    network, volumes = settled(VolumeTransformer()), torch.randn(2, 1, 6, 8, 16)
    kept = []
    handle = network.block.register_forward_hook(lambda *given: kept.append(given[2]))
    scores = network(volumes)
    handle.remove()
    (gradient,) = torch.autograd.grad(scores[:, 1].sum(), kept)
    part, slope = kept[0][:, 1:].mT.detach(), gradient[:, 1:].mT
    coarse = (slope.mean(2, keepdim=True) * part).sum(1).relu().view(2, 1, 3, 2, 4)
    wanted = F.interpolate(coarse, size=(6, 8, 16), mode="trilinear", align_corners=False)[:, 0]
    torch.testing.assert_close(explainers.GradCAM(network)(volumes, 1), wanted, rtol=1e-4, atol=1e-6)


def test_tokens_of_a_signal_are_its_positions_in_order():
    network, signals = settled(Transformer()), torch.randn(2, 2, 40)
    explainer = explainers.GradCAM(network, layer="block")
    kept = []
    handle = network.block.register_forward_hook(lambda *given: kept.append(given[2]))
    scores = network(signals)
    handle.remove()
    (gradient,) = torch.autograd.grad(scores[:, 1].sum(), kept)
    part, slope = kept[0][:, 1:].mT.detach(), gradient[:, 1:].mT
    coarse = (slope.mean(2, keepdim=True) * part).sum(1, keepdim=True).relu()
    wanted = F.interpolate(coarse, size=40, mode="linear", align_corners=False)[:, 0]
    torch.testing.assert_close(explainer(signals, 1), wanted, rtol=1e-4, atol=1e-6)


def test_what_spatial_gives_has_the_axes_of_the_input():
    network, volumes = made("volume")
    with pytest.raises(
        LayerError, match=re.escape("the layer's map has 2 axes, and the input 3: spatial= must give (N,")
    ):
        explainers.GradCAM(network, layer="last", spatial=lambda value: value.mean(2))(volumes)


def image_network(axes: int) -> torch.nn.Module:
    convolution = {1: torch.nn.Conv1d, 2: torch.nn.Conv2d, 3: torch.nn.Conv3d}[axes](3, 4, 3, padding=1)
    return torch.nn.Sequential(convolution, torch.nn.ReLU(), torch.nn.Flatten(2), Mean(), torch.nn.Linear(4, 2)).eval()


class Mean(torch.nn.Module):
    """Over positions."""

    def forward(self, x):
        return x.mean(2)


@pytest.mark.parametrize(
    ("axes", "shape", "message"),
    [
        (2, (2, 3, 8, 8, 8), "the network takes (N, C, H, W), got (2, 3, 8, 8, 8); pass it so"),
        (2, (3, 8, 8), "the network takes (N, C, H, W), got (3, 8, 8); add the batch dimension: images[None]"),
        (2, (2, 3, 8), "the network takes (N, C, H, W), got (2, 3, 8); add the batch dimension: images[None]"),
        (3, (3, 3, 8, 8), "the network takes (N, C, D, H, W), got (3, 3, 8, 8); add the batch dimension: images[None]"),
        (3, (3, 3, 8), "the network takes (N, C, D, H, W), got (3, 3, 8); pass it so"),
        (1, (3, 3, 8, 8), "the network takes (N, C, L), got (3, 3, 8, 8); pass it so"),
    ],
)
@pytest.mark.parametrize("method", ["saliency", "grad-cam", "rise"])
def test_a_number_of_axes_that_the_network_does_not_take_is_refused(method, axes, shape, message):
    with pytest.raises(ImageError, match=f"^{re.escape(message)}$"):
        explainers.create(method, image_network(axes))(torch.rand(shape))


class InSlices(torch.nn.Module):
    """A network of volumes that looks at each slice by a convolution of images, one slice of one volume at a time."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.Linear(4, 2)

    def forward(self, x):
        slices = [self.conv(one[None]).relu().mean((1, 2)) for volume in x for one in volume[0]]
        return self.head(torch.stack(slices).unflatten(0, (len(x), -1)).mean(1))


def test_convolutions_of_fewer_axes_inside_a_network_of_volumes_are_its_own_business():
    network, volumes = settled(InSlices()), torch.randn(2, 1, 3, 6, 5)
    assert explainers.Saliency(network)(volumes, 0).shape == (2, 3, 6, 5)
    assert explainers.Occlusion(network, window=2)(volumes, 0).shape == (2, 3, 6, 5)
