"""Train a small YOLO-like detector on generated scenes: discs, squares, triangles, stars.

    python examples/tasks/detect_scenes.py --out detect       # about a minute on one core

It takes images (N, 3, H, W) of 0 … 1, with sides that are multiples of 8, and returns what heads of this family return
before anything is decoded: (N, A, 5 + C, H / 8, W / 8), at each cell and for each of A anchors the place in the cell
(two), the size against the anchor (two), whether a middle is here (one), and C classes. `decoded` makes boxes of it,
one for each cell and anchor, and `detections` keeps the best. Place, size and classes are taught at cells with a
middle.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from average_precision import average_precision
from torch import Tensor, nn
from torchvision.ops import batched_nms
from training import Task, block, in_parts, main

from explainers.data.generated.scenes import KINDS, scenes
from explainers.targets import Box, Detections

CELL = 8  # pixels
ANCHORS = (12.0, 20.0)  # pixels a side
CLASSES = KINDS
best = Box(rank=0)  # for the command: --target detect_scenes.py:best


class GridDetector(nn.Module):
    def __init__(self, classes: int = len(CLASSES), width: int = 64) -> None:
        super().__init__()
        self.body = nn.Sequential(
            block(3, 16, stride=2), block(16, 32), block(32, 32, stride=2), block(32, width),
            block(width, width, stride=2), block(width, width), block(width, width),
        )  # fmt: skip
        self.head = nn.Conv2d(width, len(ANCHORS) * (5 + classes), 1)

    def forward(self, images: Tensor) -> Tensor:
        raw = self.head(self.body(images))
        return raw.unflatten(1, (len(ANCHORS), -1))


def make() -> GridDetector:
    return GridDetector()


def decoded(raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of (N, A, 5 + C, h, w): boxes (N, A h w, 4) as x0, y0, x1, y1 in pixels, whether a shape is there (N, A h w) and
    the probability of each class if so (N, A h w, C); all with their graph."""
    rows = raw.movedim(2, -1)  # (N, A, h, w, 5 + C)
    height, width = rows.shape[2:4]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    middle = (rows[..., :2].sigmoid() + torch.stack([x, y], dim=-1).to(raw)) * CELL
    half = rows[..., 2:4].clamp(max=4).exp() * torch.tensor(ANCHORS).to(raw)[:, None, None, None] / 2
    boxes = torch.cat([middle - half, middle + half], dim=-1)
    return boxes.flatten(1, 3), rows[..., 4].sigmoid().flatten(1), rows[..., 5:].softmax(dim=-1).flatten(1, 3)


def detections(raw: Tensor, least: float = 0.3, overlap: float = 0.45) -> list[Detections]:
    """The adapter, an `output=` of every method: of each image what remains after non-maximum suppression within
    classes, with objectness times probability as the score, and the boxes of all cells as candidates."""
    found = []
    for boxes, there, classes in zip(*decoded(raw), strict=True):
        best, labels = classes.max(dim=1)
        every = Detections(boxes, there * best, labels, classes, there)
        sure = (every.scores >= least).nonzero()[:, 0]
        kept = sure[batched_nms(boxes[sure].detach(), every.scores[sure].detach(), labels[sure], overlap)]
        found.append(replace(every[kept], candidates=every))
    return found


def encoded(boxes: Tensor, labels: Tensor, size: int) -> Tensor:
    """(A, 6, h, w) that a network should have said of an image: place, size, whether a middle is here, the label."""
    wanted = torch.zeros(len(ANCHORS), 6, size // CELL, size // CELL)
    for (x0, y0, x1, y1), label in zip(boxes.tolist(), labels.tolist(), strict=True):
        x, y, wide, high = (x0 + x1) / 2 / CELL, (y0 + y1) / 2 / CELL, x1 - x0, y1 - y0
        anchor = min(range(len(ANCHORS)), key=lambda each: abs(ANCHORS[each] ** 2 - wide * high))
        sizes = torch.tensor([wide, high]).div(ANCHORS[anchor]).log()
        wanted[anchor, :, int(y), int(x)] = torch.tensor([x % 1, y % 1, *sizes, 1, label])
    return wanted


def data(split: str, count: int, seed: int) -> tuple[Tensor, ...]:
    made = scenes(count, split=split, seed=seed)
    wanted = [encoded(each.boxes, each.labels, each.pixels.shape[-1]) for each in made]
    return torch.stack([each.pixels for each in made]) / 255, torch.stack(wanted), torch.arange(count)


def loss(network: nn.Module, images: Tensor, wanted: Tensor, _: Tensor) -> Tensor:
    raw, wanted = network(images).movedim(2, -1), wanted.movedim(2, -1)
    here = wanted[..., 4] > 0
    there = F.binary_cross_entropy_with_logits(raw[..., 4], wanted[..., 4], reduction="sum")
    place = F.binary_cross_entropy_with_logits(raw[here][:, :2], wanted[here][:, :2], reduction="sum")
    size = F.smooth_l1_loss(raw[here][:, 2:4], wanted[here][:, 2:4], beta=0.1, reduction="sum")
    classes = F.cross_entropy(raw[here][:, 5:], wanted[here][:, 5].long(), reduction="sum")
    return (there + place + 2 * size + classes) / here.sum()


def score(network: nn.Module, images: Tensor, _: Tensor, indices: Tensor) -> dict[str, float]:
    """Mean over classes of the average precision at an overlap of 0.5."""
    found = [one for part in in_parts(network, images).split(64) for one in detections(part, least=0.01)]
    made = scenes(len(indices))
    each = {}
    for label, name in enumerate(CLASSES):
        mine = [one[one.labels == label] for one in found]
        each[f"AP {name}"] = average_precision(mine, [one.boxes[one.labels == label] for one in made])
    return {"mAP@0.5": sum(each.values()) / len(each), **each}


TASK = Task(make, data, loss, score, samples=3000, steps=1500, batch=16)

if __name__ == "__main__":
    main(TASK, __doc__)
