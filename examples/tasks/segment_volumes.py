"""Train a small U-Net of 3-D convolutions to find the blob in generated volumes, voxel by voxel: ball, shell or rod.

    python examples/tasks/segment_volumes.py --out volumes   # about two minutes on one core

It takes volumes (N, 1, D, H, W), with sides that are multiples of 4, and returns scores (N, 4, D, H, W).
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from training import Task, block, in_parts, main

from explainers.data.generated.blobs import CLASSES as KINDS, blobs

CLASSES = ("nothing", *KINDS)


class VolumeUNet(nn.Module):
    """Two resolutions below that of the volume; each way up joins what the way down had there."""

    def __init__(self, classes: int = len(CLASSES), widths: tuple[int, ...] = (8, 16, 24)) -> None:
        super().__init__()
        self.stem = block(1, widths[0], 3)
        self.down = nn.ModuleList(
            nn.Sequential(block(before, after, 3, stride=2), block(after, after, 3))
            for before, after in pairwise(widths)
        )
        self.up = nn.ModuleList(
            block(low + high, high, 3) for low, high in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Conv3d(widths[0], classes, 1)

    def forward(self, volumes: Tensor) -> Tensor:
        levels = [self.stem(volumes)]
        for down in self.down:
            levels.append(down(levels[-1]))
        value = levels.pop()
        for up, level in zip(self.up, levels[::-1], strict=True):
            value = up(torch.cat([F.interpolate(value, scale_factor=2.0), level], dim=1))
        return self.head(value)


def make() -> VolumeUNet:
    return VolumeUNet()


def data(split: str, count: int, seed: int) -> tuple[Tensor, ...]:
    volumes, masks, labels = blobs(count, split=split, seed=seed)
    return volumes, masks * (labels + 1)[:, None, None, None]


def loss(network: nn.Module, volumes: Tensor, classes: Tensor) -> Tensor:
    weights = torch.tensor([0.05, 1.0, 1.0, 1.0])  # 97 of 100 voxels are nothing
    return F.cross_entropy(network(volumes), classes, weight=weights)


def score(network: nn.Module, volumes: Tensor, classes: Tensor) -> dict[str, float]:
    """Intersection over union of each class over all voxels of all volumes, and its mean."""
    found = in_parts(network, volumes).argmax(dim=1)
    each = {
        name: (((found == index) & (classes == index)).sum() / ((found == index) | (classes == index)).sum()).item()
        for index, name in enumerate(CLASSES)
    }
    return {"mIoU": sum(each.values()) / len(each), **{f"IoU {name}": value for name, value in each.items()}}


TASK = Task(make, data, loss, score, samples=800, steps=300, batch=8)

if __name__ == "__main__":
    main(TASK, __doc__)
