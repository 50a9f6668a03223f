"""Tensors of two and three axes at the notebook's door: signals or one photo, whichever the network takes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import explainers
from explainers.errors import ImageError
from explainers.models import ArrayPreprocessing


class OverFrames(nn.Module):
    """A signal's frames as a picture: a convolution over one axis, then one over two."""

    def __init__(self):
        super().__init__()
        self.frames, self.picture, self.head = nn.Conv1d(2, 4, 3), nn.Conv2d(1, 4, 3), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.picture(self.frames(x)[:, None]).mean((2, 3)))


class OverTokens(nn.Module):
    """A photo's positions as tokens: a convolution over two axes, then one over one."""

    def __init__(self):
        super().__init__()
        self.picture, self.tokens, self.head = nn.Conv2d(3, 4, 3), nn.Conv1d(4, 4, 1), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.tokens(self.picture(x).flatten(2)).mean(2))


class Anything(nn.Module):
    """Takes any number of axes, and has no convolution."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(1, 3)

    def forward(self, x):
        return self.head(x.flatten(1).square().mean(1, keepdim=True))


def signals(channels):
    return nn.Sequential(nn.Conv1d(channels, 4, 3), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 3))


def photos(channels):
    return nn.Sequential(nn.Conv2d(channels, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))


@pytest.mark.parametrize(
    ("network", "shape", "maps"),
    [
        (signals(3), (1, 3, 20), (1, 20)),
        (signals(3), (3, 3, 20), (3, 20)),
        (signals(2), (2, 20), (1, 20)),
        (photos(1), (1, 9, 20), (1, 9, 20)),
        (photos(3), (3, 9, 20), (1, 9, 20)),
        (OverFrames(), (4, 2, 20), (4, 20)),
        (OverFrames(), (2, 20), (1, 20)),
        (OverTokens(), (3, 9, 20), (1, 9, 20)),
    ],
)
def test_a_tensor_is_what_the_network_takes(network, shape, maps):
    assert explainers.explain(network.eval(), torch.rand(shape), "saliency").maps.shape == maps


def test_what_can_be_both_is_asked_for():
    network, given = Anything().eval(), torch.rand(3, 9, 20)
    with pytest.raises(ImageError, match=r"3 signals \(N, C, L\) = \(3, 9, 20\) or one photo \(C, H, W\), and this"):
        explainers.explain(network, given, "saliency")
    assert explainers.explain(network, given[None], "saliency").maps.shape == (1, 9, 20)
    assert explainers.explain(network, [given, given], "saliency").maps.shape == (2, 9, 20)
    said = explainers.explain(network, given, "saliency", preprocessing=ArrayPreprocessing("signal"))
    assert said.maps.shape == (3, 20)
