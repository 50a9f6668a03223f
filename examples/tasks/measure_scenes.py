"""Train a small network to say how much of a generated scene red and yellow shapes cover, in percent.

    python examples/tasks/measure_scenes.py --out measure     # about a minute on one core

It takes images (N, 3, H, W) of 0 … 1 and returns one value for each, (N, 1).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from training import Task, block, in_parts, main

from explainers.data.generated.scenes import scenes


class Measure(nn.Module):
    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.body = nn.Sequential(
            block(3, 16, stride=2), block(16, 32), block(32, 32, stride=2), block(32, width), block(width, width),
            block(width, width),
        )  # fmt: skip
        self.head = nn.Linear(width, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(images).mean(dim=(2, 3)))


def make() -> Measure:
    return Measure()


def data(split: str, count: int, seed: int) -> tuple[Tensor, ...]:
    made = scenes(count, split=split, seed=seed)
    return torch.stack([each.pixels for each in made]) / 255, torch.tensor([[each.warm_share] for each in made])


def loss(network: nn.Module, images: Tensor, values: Tensor) -> Tensor:
    return F.smooth_l1_loss(network(images), values, beta=0.5)


def score(network: nn.Module, images: Tensor, values: Tensor) -> dict[str, float]:
    """Share of the variance that is explained, and the mean error in percent of the image."""
    error = in_parts(network, images) - values
    return {
        "R2": 1 - (error.square().sum() / (values - values.mean()).square().sum()).item(),
        "mean error": error.abs().mean().item(),
    }


TASK = Task(make, data, loss, score, samples=3000, steps=1200, batch=16)

if __name__ == "__main__":
    main(TASK, __doc__)
