"""What the tests of targets share: networks that return their scores in many ways, and segmenters."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from small import Chain
from torch import Tensor, nn

Pair = namedtuple("Pair", "scores features")


def images(count: int = 2, size: int = 16, seed: int = 0) -> Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def chain(classes: int = 5) -> Chain:
    torch.manual_seed(3)
    return Chain(classes=classes).eval()


@dataclass
class Said:
    logits: Tensor
    hidden: Tensor


class Returning(nn.Module):
    """A chain that returns its scores and features in a structure."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form, self.chain = form, chain()

    def forward(self, x: Tensor) -> object:
        features = self.chain.features(x)
        scores = self.chain.head(features.mean((2, 3)))
        return {
            "tensor": lambda: scores,
            "dict": lambda: {"logits": scores, "features": features},
            "tuple": lambda: (scores, features),
            "list": lambda: [features, scores],
            "named": lambda: Pair(scores, features),
            "dataclass": lambda: Said(scores, features),
            "per image": lambda: [{"score": one, "features": two} for one, two in zip(scores, features, strict=True)],
        }[self.form]()


class UNet(nn.Module):
    """Two levels down and up with skip connections; the output has the image's size."""

    def __init__(self, classes: int = 4, width: int = 6) -> None:
        super().__init__()
        self.down, self.pool = _block(3, width), nn.MaxPool2d(2)
        self.bottle = _block(width, 2 * width)
        self.up, self.head = _block(3 * width, width), nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.down(x)
        deep = self.bottle(self.pool(first))
        enlarged = F.interpolate(deep, size=first.shape[2:], mode="bilinear")
        return self.head(self.up(torch.cat([first, enlarged], dim=1)))


class Strided(nn.Module):
    """An output of a quarter of the image's size, in a dict with an auxiliary head, as torchvision's have it."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.backbone = nn.Sequential(_block(3, 6, 2), _block(6, 12, 2))
        self.classifier = nn.Sequential(_block(12, 8), nn.Conv2d(8, classes, 1))
        self.aux = nn.Conv2d(12, classes, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.backbone(x)
        return {"out": self.classifier(features), "aux": self.aux(features)}


def _block(before: int, after: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=stride, padding=1),
        nn.ReLU(),
        nn.Conv2d(after, after, 3, padding=1),
        nn.ReLU(),
    )


def unet(classes: int = 4) -> UNet:
    torch.manual_seed(1)
    return _lively(UNet(classes))


def strided(classes: int = 3) -> Strided:
    torch.manual_seed(2)
    return _lively(Strided(classes))


def _lively(network: nn.Module) -> nn.Module:
    """Weights that keep the spread of what passes, so that the classes differ from position to position."""
    for value in network.parameters():
        if value.ndim > 1:
            nn.init.kaiming_normal_(value)
    return network.eval()
