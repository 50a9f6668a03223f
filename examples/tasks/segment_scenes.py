"""Train a small U-Net to segment generated scenes: ground, disc, square, triangle, star.

    python examples/tasks/segment_scenes.py --out segment     # about a minute on one core

It takes images (N, 3, H, W) of 0 … 1, with sides that are multiples of 8, and returns scores (N, 5, H, W).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from training import Task, block, in_parts, main

from explainers.data.generated.scenes import KINDS, scenes

CLASSES = ("ground", *KINDS)


class UNet(nn.Module):
    """Three resolutions, from half of the image's on; each way up joins what the way down had there."""

    def __init__(self, classes: int = len(CLASSES), widths: tuple[int, ...] = (16, 32, 48)) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            nn.Sequential(block(before, width, stride=2), block(width, width))
            for before, width in zip((3, *widths[:-1]), widths, strict=True)
        )
        self.up = nn.ModuleList(
            block(low + high, high) for low, high in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(widths[0], classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        value, levels = images, []
        for down in self.down:
            value = down(value)
            levels.append(value)
        for up, level in zip(self.up, levels[-2::-1], strict=True):
            value = up(torch.cat([F.interpolate(value, scale_factor=2.0), level], dim=1))
        return F.interpolate(self.head(value), scale_factor=2.0, mode="bilinear", align_corners=False)


def make() -> UNet:
    return UNet()


def data(split: str, count: int, seed: int) -> tuple[Tensor, ...]:
    made = scenes(count, split=split, seed=seed)
    return torch.stack([each.pixels for each in made]) / 255, torch.stack([each.classes for each in made])


def loss(network: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    weights = torch.tensor([0.3, 1.0, 1.0, 1.0, 1.0])  # nine of ten pixels are ground
    return F.cross_entropy(network(images), classes, weight=weights)


def score(network: nn.Module, images: Tensor, classes: Tensor) -> dict[str, float]:
    """Intersection over union of each class over all pixels of all images, and its mean."""
    found = in_parts(network, images).argmax(dim=1)
    each = {
        name: (((found == index) & (classes == index)).sum() / ((found == index) | (classes == index)).sum()).item()
        for index, name in enumerate(CLASSES)
    }
    return {"mIoU": sum(each.values()) / len(each), **{f"IoU {name}": value for name, value in each.items()}}


TASK = Task(make, data, loss, score, samples=3000, steps=1200, batch=16)

if __name__ == "__main__":
    main(TASK, __doc__)
