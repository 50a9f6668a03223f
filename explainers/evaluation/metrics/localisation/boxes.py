"""The box around a map's region against the box around the mask.

Boxes are (left, top, right, bottom) in pixels, both ends included.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from explainers.core.maps import scaled
from explainers.errors import OptionError
from explainers.evaluation.measuring.subject import Measured, Subject
from explainers.evaluation.metric import register_metric
from explainers.evaluation.metrics.localisation.mask_metric import LEVELS, MaskMetric, equal_thresholds


def mask_boxes(masks: Tensor) -> Tensor:
    """(N, 4): the tight box of each mask."""
    sides = []
    for occupied in (masks.any(dim=-2).int(), masks.any(dim=-1).int()):
        sides.append((occupied.argmax(dim=-1), occupied.shape[-1] - 1 - occupied.flip(-1).argmax(dim=-1)))
    (left, right), (top, bottom) = sides
    return torch.stack([left, top, right, bottom], dim=-1)


def box_iou(first: Tensor, second: Tensor) -> Tensor:
    """IoU of boxes (…, 4) with boxes (…, 4) to (…), in whole pixels: a box of one pixel has the area 1."""
    overlap = torch.cat([torch.maximum(first, second)[..., :2], torch.minimum(first, second)[..., 2:]], dim=-1)
    common = _area(overlap)
    return common / (_area(first) + _area(second) - common)


def component_boxes(region: Tensor) -> Tensor:
    """(B, 4): the boxes of the 8-connected components of a bool region (H, W), the one of most pixels first.

    Of components of one size, the box that begins further up comes first, then the one further to the left.
    """
    from explainers.data.images import opencv

    pixels = region.to(device="cpu", dtype=torch.uint8).numpy()
    statistics = torch.from_numpy(opencv().connectedComponentsWithStats(pixels, connectivity=8)[2]).long()
    left, top, width, height, size = statistics[1:].unbind(dim=1)  # the first is the background
    boxes = torch.stack([left, top, left + width - 1, top + height - 1], dim=1)
    first = (top * region.shape[1] + left).argsort(stable=True)
    return boxes[first[size[first].argsort(descending=True, stable=True)]].to(region.device)


def best_box_iou(maps: Tensor, masks: Tensor, thresholds: Tensor, multiple: bool = False) -> Tensor:
    """(N, T): IoU of the mask's tight box and the map's box at each threshold; 0 where no value reaches it.

    Args:
        thresholds: (T,), the map's region being its values, scaled to 0 … 1, of at least each.
        multiple: the best box of all components, instead of the box of the largest.

    Cost: a search for components on the CPU for each image and threshold.

    Source: Choe et al. 2020, MaxBoxAcc and MaxBoxAccV2, which compare it with 0.5 (or 0.3, 0.5 and 0.7); they cut the
    map in 256 steps and take the largest contour by its area, here the map is as it is and the pixels are counted.
    """
    values, levels = scaled(maps.double()).cpu(), thresholds.double().tolist()
    found = torch.zeros(len(maps), len(levels), dtype=torch.float64, device="cpu")
    for row, (value, box) in enumerate(zip(values, mask_boxes(masks).cpu(), strict=True)):
        for column, level in enumerate(levels):
            boxes = component_boxes(value >= level)
            if len(boxes):
                found[row, column] = box_iou(boxes if multiple else boxes[:1], box).max()
    return found.to(maps.device)


def _area(boxes: Tensor) -> Tensor:
    """(…) float64 pixels of boxes (…, 4); 0 where right is left of left."""
    return (boxes[..., 2:] - boxes[..., :2] + 1).clamp(min=0).double().prod(dim=-1)


@register_metric
class MaxBoxAcc(MaskMetric):
    """Share of images whose region's box meets the mask's box, at the threshold at which most do.

    Args:
        iou: from which overlap boxes meet, or several, of which the mean is taken; multiple: the best box of all parts
            of a region, instead of the box of its largest part. (0.3, 0.5, 0.7) and True make it MaxBoxAccV2.
        thresholds: how many between 0 and 1.

    The value of a row is that of its image alone; a data set has one threshold for all images.

    Source: Choe et al. 2020.
    """

    name = "maxboxacc"
    reference = "Choe et al. 2020"
    boxes = True
    share = True
    axes = (2,)

    def __init__(self, *, iou: float | Sequence[float] = 0.5, multiple: bool = False, thresholds: int = LEVELS) -> None:
        self.iou = (float(iou),) if isinstance(iou, (int, float)) else tuple(iou)
        if not self.iou or not all(0 < each <= 1 for each in self.iou):
            raise OptionError(f"iou={iou!r}; expected overlaps above 0 and up to 1")
        if thresholds < 1:
            raise OptionError(f"thresholds={thresholds!r}; expected a number of intervals of at least 1")
        self.multiple, self.thresholds = multiple, thresholds

    def settings(self) -> dict[str, Any]:
        """Overlap, boxes, thresholds."""
        return {"iou": self.iou, "multiple": self.multiple, "thresholds": self.thresholds}

    def judged(self, maps: Tensor, masks: Tensor, subject: Subject) -> list[Measured]:
        """With 1 or 0 for each overlap and threshold."""
        overlaps = best_box_iou(maps, masks, equal_thresholds(maps, self.thresholds), self.multiple).cpu().numpy()
        met = overlaps[:, None, :] >= np.array(self.iou)[None, :, None]
        return [Measured(float(each.max(axis=1).mean()), parts=each.astype(np.float64)) for each in met]

    def combined(self, parts: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """The best threshold of each overlap."""
        return (parts / counts[:, None, None]).max(axis=2).mean(axis=1)
