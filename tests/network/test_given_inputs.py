"""Inputs that a network cannot take: one sentence that says what it takes, and no word of torch's."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import explainers
from explainers.errors import ImageError, TargetError
from explainers.targets import Similarity

KINDS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def network_of(axes: int, channels: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(KINDS[axes](channels, 4, 3), nn.ReLU(), nn.Flatten(2), nn.AdaptiveAvgPool1d(1), nn.Flatten())


class Focus(nn.Module):
    """Pixels of a 2 x 2 block become channels: the first convolution takes 12 of an image of 3."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(12, 4, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.conv(nn.functional.pixel_unshuffle(images, 2)).mean((2, 3))


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("method", ["saliency", "grad-cam", "rise", "occlusion", "smooth-grad"])
def test_a_wrong_number_of_channels_is_named(method, axes):
    explainer = explainers.create(method, network_of(axes))
    shape = (2, 1, *[8] * axes)
    with pytest.raises(ImageError, match=r"takes 3 channels, and the images \(2, 1, 8.* have 1"):
        explainer(torch.rand(shape), targets=0)


def test_channels_that_the_network_makes_itself_are_its_own_affair():
    maps = explainers.Saliency(Focus())(torch.rand(1, 3, 16, 16), targets=0)
    assert maps.shape == (1, 16, 16)


def test_an_image_that_is_too_small_is_not_blamed_on_its_channels():
    with pytest.raises(RuntimeError, match="Kernel size can't be greater|[Cc]alculated"):
        explainers.Saliency(network_of(2))(torch.rand(1, 3, 2, 2), targets=0)


def test_a_reference_that_the_network_cannot_take_is_named():
    with pytest.raises(TargetError, match=r"the network fails on the reference, an image \(1, 1, 8, 8\)"):
        explainers.Saliency(network_of(2))(torch.rand(1, 3, 8, 8), targets=Similarity(torch.rand(1, 8, 8)))


def test_scores_at_positions_lead_to_the_region_first():
    with pytest.raises(explainers.errors.OutputError) as told:
        explainers.Saliency(nn.Conv2d(3, 4, 3))(torch.rand(1, 3, 8, 8), targets=0)
    text = str(told.value)
    assert 0 < text.index("(--where predicted)") < text.index("output=lambda y: y.mean((2, 3))")
