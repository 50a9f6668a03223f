"""Train a small network whose embeddings of two scenes are alike where the scenes share a shape.

    python examples/tasks/embed_scenes.py --out embed         # about three minutes on one core

It takes images (N, 3, H, W) of 0 … 1 and returns embeddings (N, 64), which are compared by their cosine. Pairs that
share a shape of one kind and colour are told from the other images of the batch (InfoNCE; van den Oord et al. 2018).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from training import Task, block, in_parts, main

from explainers.data.generated.scenes import pair

SHARPNESS = 10.0  # what cosines are multiplied by


class Embedding(nn.Module):
    def __init__(self, width: int = 48, length: int = 64) -> None:
        super().__init__()
        self.body = nn.Sequential(
            block(3, 16, stride=2), block(16, 32), block(32, 32, stride=2), block(32, width), block(width, width),
            block(width, width),
        )  # fmt: skip
        self.head = nn.Linear(width, length)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(images).amax(dim=(2, 3)))


def make() -> Embedding:
    return Embedding()


def data(split: str, count: int, seed: int) -> tuple[Tensor, ...]:
    made = [pair(index, split=split, seed=seed) for index in range(count)]
    return torch.stack([each.first.pixels for each in made]) / 255, torch.stack(
        [each.second.pixels for each in made]
    ) / 255


def cosines(network: nn.Module, first: Tensor, second: Tensor) -> Tensor:
    """(N, N) of each first image with each second one."""
    one, other = (F.normalize(in_parts(network, images), dim=1) for images in (first, second))
    return one @ other.T


def loss(network: nn.Module, first: Tensor, second: Tensor) -> Tensor:
    both = F.normalize(network(torch.cat([first, second])), dim=1)
    scores, own = SHARPNESS * both[: len(first)] @ both[len(first) :].T, torch.arange(len(first))
    return (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2


def score(network: nn.Module, first: Tensor, second: Tensor) -> dict[str, float]:
    """How often an image's partner is the most alike of 32 images, and of how many other ones it is the more alike."""
    found = cosines(network, first, second)
    own = found.diag()[:, None]
    parts = [found[start : start + 32, start : start + 32] for start in range(0, len(found) - 31, 32)]
    right = torch.cat([part.argmax(dim=1) == torch.arange(32) for part in parts])
    above = (own > found).sum() / (found.numel() - len(found))
    return {"first of 32": right.float().mean().item(), "AUC": above.item()}


TASK = Task(make, data, loss, score, samples=3000, steps=1000)

if __name__ == "__main__":
    main(TASK, __doc__)
