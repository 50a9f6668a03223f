"""Train a small network whose embeddings of two scenes are alike where the scenes share a shape.

    python examples/tasks/embed_scenes.py --out embed         # about a minute on one core

It takes images (N, 3, H, W) of 0 … 1 and returns embeddings (N, 24), which are compared by their cosine. It is taught
at each position which of the 24 looks (kind and colour) a shape there has; the embedding is the largest probability of
each look, wherever it is, so that nothing of it says where a shape lies.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from training import Task, block, in_parts, main

from explainers.data.generated.scenes import COLOURS, KINDS, Scene, pair

CELL = 4  # pixels of a position
LOOKS = len(KINDS) * len(COLOURS)


class Embedding(nn.Module):
    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.body = nn.Sequential(
            block(3, 16, stride=2), block(16, 32), block(32, 32, stride=2), block(32, width), block(width, width),
            block(width, width),
        )  # fmt: skip
        self.looks = nn.Conv2d(width, 1 + LOOKS, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.dense(images).softmax(dim=1)[:, 1:].amax(dim=(2, 3))

    def dense(self, images: Tensor) -> Tensor:
        """(N, 25, H / 4, W / 4) scores of the ground and each look at each position."""
        return self.looks(self.body(images))


def make() -> Embedding:
    return Embedding()


def looks_of(made: Scene) -> Tensor:
    """(S / 4, S / 4) what the network should say: 0 for the ground, else 1 + the index of the look."""
    looks = torch.tensor([0, *(1 + each.kind * len(COLOURS) + each.colour for each in made.things)])
    return looks[made.shapes[CELL // 2 :: CELL, CELL // 2 :: CELL]]


def data(split: str, count: int, seed: int) -> tuple[Tensor, ...]:
    """(N, 2, 3, S, S) images and (N, 2, S / 4, S / 4) looks of pairs."""
    made = [(each.first, each.second) for each in (pair(index, split=split, seed=seed) for index in range(count))]
    images = torch.stack([torch.stack([one.pixels for one in both]) for both in made]) / 255
    return images, torch.stack([torch.stack([looks_of(one) for one in both]) for both in made])


def loss(network: nn.Module, images: Tensor, looks: Tensor) -> Tensor:
    weights = torch.ones(1 + LOOKS)
    weights[0] = 0.3  # nine of ten positions are ground
    return F.cross_entropy(network.dense(images.flatten(0, 1)), looks.flatten(0, 1), weight=weights)


def score(network: nn.Module, images: Tensor, looks: Tensor) -> dict[str, float]:
    """How often an image is more like its partner than like an image that shares no look with it."""
    first, second = (F.normalize(in_parts(network, images[:, side]), dim=1) for side in (0, 1))
    there = F.one_hot(looks, 1 + LOOKS).flatten(2, 3).amax(dim=2)[..., 1:].float()  # (N, 2, 24)
    strangers = there[:, 0] @ there[:, 1].T == 0
    found = first @ second.T
    return {"AUC": (found < found.diag()[:, None])[strangers].float().mean().item()}


TASK = Task(make, data, loss, score, samples=2000, steps=1500, batch=8)

if __name__ == "__main__":
    main(TASK, __doc__)
