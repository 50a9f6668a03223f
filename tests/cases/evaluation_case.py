"""A network, images, masks and an explainer, as small as an evaluation can be."""

from __future__ import annotations

import torch
from small import Residual, lively
from torch import nn

CONTROLS = ("random", "center", "edges")


def network() -> nn.Module:
    return lively(Residual())


def images(count: int = 3) -> torch.Tensor:
    return torch.randn(count, 3, 12, 13)


def brightness(images, targets):
    return images.mean(1)


def masks(count: int = 3) -> torch.Tensor:
    found = torch.rand(count, 12, 13) > 0.7
    found[:, 5, 5] = True
    return found
