"""The layer of segmentation networks: the end of the encoder, where decoders become coarser than it, too."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import explainers
from explainers.targets import Region


def down(*channels):
    steps = itertools.pairwise(channels)
    return nn.Sequential(*(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in steps))


def enlarged(values, size):
    return F.interpolate(values, size=size, mode="bilinear")


class Pyramid(nn.Module):
    """The head of PSPNet and UperNet: pooled to few positions and back."""

    def __init__(self):
        super().__init__()
        self.pooled = nn.ModuleList(nn.Sequential(nn.AdaptiveAvgPool2d(n), nn.Conv2d(8, 4, 1)) for n in (2, 3))
        self.joined = nn.Conv2d(16, 8, 3, padding=1)

    def forward(self, values):
        return self.joined(torch.cat([values, *(enlarged(each(values), values.shape[2:]) for each in self.pooled)], 1))


class Levels(nn.Module):
    """The neck of DPT: a coarser level is added to the encoder's, and joined from there up."""

    def __init__(self):
        super().__init__()
        self.coarser, self.mixed = nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.joined = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, values):
        return self.joined(values + enlarged(self.mixed(self.coarser(values)), values.shape[2:]))


class WithHead(nn.Module):
    def __init__(self, head):
        super().__init__()
        self.backbone, self.head, self.classifier = down(3, 8, 8, 8), head, nn.Conv2d(8, 3, 1)

    def forward(self, images):
        return enlarged(self.classifier(self.head(self.backbone(images))), images.shape[2:])


class Within(nn.Module):
    """A U-Net of blocks within blocks, as in MONAI and pix2pix."""

    def __init__(self, inner):
        super().__init__()
        self.down, self.inner, self.up = nn.Conv2d(8, 8, 3, 2, 1), inner, nn.ConvTranspose2d(8, 8, 2, 2)

    def forward(self, values):
        return values + self.up(self.inner(self.down(values)))


class FlatUNet(nn.Module):
    """A U-Net whose bottleneck is a part of its own."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.three = down(3, 8), down(8, 8), down(8, 8)
        self.bottom, self.up, self.last = (
            nn.Conv2d(8, 8, 3, padding=1),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.Conv2d(8, 3, 1),
        )

    def forward(self, images):
        one = self.one(images)
        two = self.two(one)
        values = self.bottom(F.max_pool2d(self.three(two), 2))
        return enlarged(self.last(self.up(two + enlarged(values, two.shape[2:]))), images.shape[2:])


NESTED = Within(Within(Within(nn.Conv2d(8, 8, 3, padding=1))))
NETWORKS = {
    "pyramid": (lambda: WithHead(Pyramid()), "backbone"),
    "levels": (lambda: WithHead(Levels()), "backbone"),
    "wrapped": (lambda: nn.Sequential(WithHead(Pyramid())), "0.backbone"),
    "nested": (lambda: nn.Sequential(nn.Conv2d(3, 8, 1), NESTED, nn.Conv2d(8, 3, 1)), "1.inner.inner.down"),
    "flat": (FlatUNet, "bottom"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_layer_is_the_end_of_the_encoder(name):
    torch.manual_seed(0)
    make, expected = NETWORKS[name]
    explainer = explainers.create("grad-cam", make().eval())
    explainer(torch.rand(1, 3, 64, 64), Region(1))
    assert explainer.layers == (expected,)


def test_the_layer_is_the_encoders_where_the_gradient_fades_to_nothing_too():
    network = WithHead(Pyramid()).eval()
    nn.init.zeros_(network.classifier.weight)
    explainer = explainers.create("grad-cam", network)
    assert not bool(explainer(torch.rand(1, 3, 64, 64), Region(1)).any())
    assert explainer.layers == ("backbone",)
