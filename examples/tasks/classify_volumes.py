"""Train a small network of 3-D convolutions to tell the blob in generated volumes: ball, shell or rod.

    python examples/tasks/classify_volumes.py --out volumes   # about a minute on one core

It takes volumes (N, 1, D, H, W), here of 24 × 28 × 20 voxels, and returns scores (N, 3).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from training import Task, accuracy, block, main

from explainers.data.generated.blobs import CLASSES, blobs


class VolumeNet(nn.Module):
    def __init__(self, classes: int = len(CLASSES), width: int = 32) -> None:
        super().__init__()
        self.body = nn.Sequential(
            block(1, 8, 3), block(8, 16, 3, stride=2), block(16, 24, 3), block(24, width, 3, stride=2),
            block(width, width, 3),
        )  # fmt: skip
        self.head = nn.Linear(width, classes)

    def forward(self, volumes: Tensor) -> Tensor:
        return self.head(self.body(volumes).mean(dim=(2, 3, 4)))


def make() -> VolumeNet:
    return VolumeNet()


def data(split: str, count: int, seed: int) -> tuple[Tensor, ...]:
    volumes, _, labels = blobs(count, split=split, seed=seed)
    return volumes, labels


def loss(network: nn.Module, volumes: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(network(volumes), labels)


TASK = Task(make, data, loss, accuracy, samples=2400, steps=450)

if __name__ == "__main__":
    main(TASK, __doc__)
