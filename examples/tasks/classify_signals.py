"""Train a small network of 1-D convolutions to tell the bump in generated signals: hump, saw, double or ripple.

    python examples/tasks/classify_signals.py --out signals   # half a minute on one core

It takes signals (N, 2, L), here of 256 samples, and returns scores (N, 4).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from training import Task, accuracy, block, main

from explainers.data.generated.bumps import CHANNELS, CLASSES, bumps


class SignalNet(nn.Module):
    def __init__(self, classes: int = len(CLASSES), width: int = 64) -> None:
        super().__init__()
        self.body = nn.Sequential(
            block(CHANNELS, 24, 1), block(24, 32, 1, stride=2), block(32, 48, 1), block(48, width, 1, stride=2),
            block(width, width, 1), block(width, width, 1, stride=2), block(width, width, 1),
        )  # fmt: skip
        self.head = nn.Linear(width, classes)

    def forward(self, signals: Tensor) -> Tensor:
        return self.head(self.body(signals).mean(dim=2))


def make() -> SignalNet:
    return SignalNet()


def data(split: str, count: int, seed: int) -> tuple[Tensor, ...]:
    signals, _, labels = bumps(count, split=split, seed=seed)
    return signals, labels


def loss(network: nn.Module, signals: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(network(signals), labels)


TASK = Task(make, data, loss, accuracy, samples=6000, steps=1200)

if __name__ == "__main__":
    main(TASK, __doc__)
