"""Average precision of detections, as PASCAL VOC has counted it since 2010: the area under the precision curve."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.ops import box_iou

from explainers.targets import Detections


def average_precision(found: Sequence[Detections], boxes: Sequence[Tensor], least: float = 0.5) -> float:
    """Of one class: detections and true boxes (m, 4) of each image.

    A detection is right where its best true box overlaps by at least `least` and no better detection has taken it.
    NaN where there is no true box at all.
    """
    rows = sorted(
        ((float(score), image, row) for image, one in enumerate(found) for row, score in enumerate(one.scores)),
        key=lambda each: -each[0],
    )
    taken: set[tuple[int, int]] = set()
    right = []
    for _, image, row in rows:
        overlap, best = (
            box_iou(found[image].boxes[row][None], boxes[image])[0].max(dim=0) if len(boxes[image]) else (0.0, -1)
        )
        hit = float(overlap) >= least and (image, int(best)) not in taken
        right.append(hit)
        if hit:
            taken.add((image, int(best)))
    total = sum(map(len, boxes))
    if not total or not right:
        return float("nan") if not total else 0.0
    hits = torch.tensor(right, dtype=torch.float64).cumsum(dim=0)
    precision = hits / torch.arange(1, len(right) + 1)
    precision = precision.flip(0).cummax(dim=0).values.flip(0)  # the best at this recall or beyond
    return float((precision * torch.tensor(right)).sum() / total)
