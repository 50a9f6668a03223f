"""Inputs that a network cannot take: one sentence that says what it takes, and no word of torch's."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import explainers
from explainers.errors import ImageError, OutputError, TargetError
from explainers.targets import Detections, Region, Similarity

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
    with pytest.raises(
        ImageError, match=r"\(3, 2, 2\): .*(Kernel size can't be greater|[Cc]alculated).* runs on 32 × 32"
    ):
        explainers.Saliency(network_of(2))(torch.rand(1, 3, 2, 2), targets=0)


def test_a_reference_that_the_network_cannot_take_is_named():
    with pytest.raises(TargetError, match=r"the network fails on the reference, an image \(1, 1, 8, 8\)"):
        explainers.Saliency(network_of(2))(torch.rand(1, 3, 8, 8), targets=Similarity(torch.rand(1, 8, 8)))


def test_scores_at_positions_lead_to_the_region_first():
    with pytest.raises(explainers.errors.OutputError) as told:
        explainers.Saliency(nn.Conv2d(3, 4, 3))(torch.rand(1, 3, 8, 8), targets=0)
    text = str(told.value)
    assert 0 < text.index("(--where predicted)") < text.index("output=lambda y: y.mean((2, 3))")


class Two(nn.Module):
    def forward(self, photo, table, scale=1.0):
        return scale * torch.cat([photo.mean((2, 3)), table], dim=1)


@pytest.mark.parametrize(
    ("inputs", "lacking"), [({"photo": 0}, "'table'"), ({"photo": 0, "tabel": 1}, "'table'"), ((0,), "'table'")]
)
def test_an_input_that_is_missing_is_named(inputs, lacking):
    given = (torch.rand(1, 3, 8, 8), torch.rand(1, 4))
    inputs = {key: given[at] for key, at in inputs.items()} if isinstance(inputs, dict) else (given[0],)
    with pytest.raises(ImageError, match=rf", without {lacking}; Two.forward takes"):
        explainers.Saliency(Two())(inputs, 0)


def test_scores_at_positions_of_a_volume_lead_to_a_region_that_works():
    network, volumes = nn.Conv3d(1, 2, 3, padding=1), torch.rand(1, 1, 4, 5, 6)
    with pytest.raises(OutputError, match=r"Region\(class, \"predicted\"\).*or output=lambda y: y.mean\(\(2, 3, 4\)\)"):
        explainers.Saliency(network)(volumes, 0)
    by_function = explainers.Saliency(network)(volumes, lambda y: y[1][1:3].mean())
    torch.testing.assert_close(explainers.Saliency(network)(volumes, Region(1, ((1, 3), (0, 5), (0, 6)))), by_function)


class Finds(nn.Module):
    def forward(self, images):
        place = images.mean((1, 2, 3))[:, None] * torch.tensor([1.0, 1, 7, 7])
        return [{"boxes": box[None], "scores": box[:1] / 9, "labels": torch.tensor([1])} for box in place]


@pytest.mark.parametrize(
    "output", [None, lambda found: [Detections(each["boxes"], each["scores"], each["labels"]) for each in found]]
)
def test_a_class_of_a_detector_leads_to_its_boxes(output):
    with pytest.raises(OutputError, match=r"These are boxes: pass .*Box\(\) \(--task detection\)"):
        explainers.Saliency(Finds(), output=output)(torch.rand(1, 3, 8, 8), 0)
