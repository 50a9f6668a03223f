"""The region that a map points out, its overlap with the mask, and how it misses it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from explainers.core.histogram import histogram, otsu_level
from explainers.core.maps import scaled
from explainers.errors import OptionError
from explainers.evaluation.attention_errors import kind_of_error
from explainers.evaluation.measuring.curves import Curve
from explainers.evaluation.measuring.subject import Measured, Subject
from explainers.evaluation.metric import register_metric
from explainers.evaluation.metrics.localisation.histograms import from_the_top, inside_and_outside
from explainers.evaluation.metrics.localisation.mask_metric import MaskMetric, equal_thresholds

OTSU_BINS = 256
CHOICES = ("mean", "mean+std", "otsu", "validation")


def binarised(maps: Tensor, threshold: str | float) -> Tensor:
    """The region that a map points out, as bool (N, *axes); empty where the map is constant.

    Args:
        threshold: "mean" (values above the map's mean), "mean+std" (above it by more than a standard deviation of the
            map's pixels), "otsu" (see `otsu`), or a number from 0 to 1 (values above it, of the map scaled to 0 … 1).

    Raises:
        OptionError: anything else.
    """
    dims = tuple(range(1, maps.ndim))
    if threshold == "mean":
        values = maps.double()
        # rounding may put the mean of a constant map below its value
        return values > torch.maximum(values.mean(dim=dims, keepdim=True), values.amin(dim=dims, keepdim=True))
    if threshold == "mean+std":
        values = scaled(maps.double())  # a constant map has no spread, and nothing in it is above its mean
        spread, mean = torch.std_mean(values, dim=dims, keepdim=True, correction=0)
        return values > mean + spread
    if threshold == "otsu":
        return scaled(maps.double()) >= otsu(maps).view(-1, *[1] * len(dims))
    if isinstance(threshold, (int, float)) and not isinstance(threshold, bool) and 0 <= threshold <= 1:
        return scaled(maps.double()) > threshold
    raise OptionError(f'threshold={threshold!r}; expected "mean", "mean+std", "otsu" or a number from 0 to 1')


def otsu(maps: Tensor) -> Tensor:
    """(N,): the value of the map scaled to 0 … 1 from which on a pixel is foreground, in a histogram of 256 bins.

    It is the upper edge of the background's last bin, so the two classes are those whose variance was compared; the
    middle of that bin, as scikit-image has it, would cut through a class.

    Source: Otsu 1979, eq. 18; of equally good thresholds the lowest.
    """
    counts = histogram((scaled(maps.double()) * OTSU_BINS).long().clamp(max=OTSU_BINS - 1).flatten(1), OTSU_BINS)
    return (otsu_level(counts) + 1).double() / OTSU_BINS


def iou(regions: Tensor, masks: Tensor) -> Tensor:
    """(N,): pixels in both over pixels in either, both bool (N, *axes); NaN where there are none in either."""
    return (regions & masks).flatten(1).sum(dim=1).double() / (regions | masks).flatten(1).sum(dim=1)


def iou_curve(maps: Tensor, masks: Tensor, thresholds: Tensor) -> Tensor:
    """(N, T): IoU of the mask and the map scaled to 0 … 1 where it is above each threshold (T,), in their order.

    Cost: one histogram for all thresholds; no region is made.
    """
    values = scaled(maps.double())
    ordered, order = thresholds.to(values).sort()
    passed = torch.bucketize(values, ordered)  # how many thresholds a value is strictly above
    inside, outside = inside_and_outside(passed, masks, len(ordered) + 1).unbind(dim=1)
    hit, missed = from_the_top(inside)[:, 1:], from_the_top(outside)[:, 1:]
    curve = hit / (masks.flatten(1).sum(dim=1)[:, None] + missed)
    return curve[:, order.argsort()]


def attention_errors(maps: Tensor, masks: Tensor, threshold: str | float = "mean") -> list[str]:
    """How each map's region P (see `binarised`) misses the mask G; see `kind_of_error`.

    Returns:
        "over-attended" (|P∖G| > |G∖P|), "insufficiently attended" (|P∖G| < |G∖P|; so is an empty region), "other" (as
        many on both sides), or "" (the region is the mask).
    """
    regions = binarised(maps, threshold)
    beyond, missed = ((one & ~two).flatten(1).sum(dim=1).tolist() for one, two in ((regions, masks), (masks, regions)))
    return [kind_of_error(*counts) for counts in zip(beyond, missed, strict=True)]


@register_metric
class MeanIoU(MaskMetric):
    """Intersection over union of the map's region and the mask.

    Args:
        threshold: how the region is told: "mean" (above the map's mean), "mean+std" (above that plus a standard
            deviation), "otsu", a number 0 … 1 of the scaled map, or "validation" (the number that is best on the other
            half of the images, told by their content).

    Rows also say `attention`: "over-attended", "insufficiently attended", "other", or nothing where the region is the
    mask; the summary counts them over the 100 images with the lowest values. With "validation" no image has a region of
    its own, and rows say nothing.
    """

    name = "miou"
    reference = "Jaccard 1912"

    def __init__(self, *, threshold: str | float = "mean") -> None:
        number = isinstance(threshold, (int, float)) and not isinstance(threshold, bool) and 0 <= threshold <= 1
        if not number and threshold not in CHOICES:
            raise OptionError(f"threshold={threshold!r}; expected {', '.join(CHOICES)} or a number 0 … 1")
        self.threshold = threshold

    def settings(self) -> dict[str, Any]:
        """The threshold."""
        return {"threshold": self.threshold}

    def judged(self, maps: Tensor, masks: Tensor, subject: Subject) -> list[Measured]:
        """With the class of error."""
        if self.threshold == "validation":
            return self._by_halves(maps, masks, subject.chunk.seeds())
        values = iou(binarised(maps, self.threshold), masks).tolist()
        errors = attention_errors(maps, masks, self.threshold)
        return [Measured(value, details={"attention": error}) for value, error in zip(values, errors, strict=True)]

    def _by_halves(self, maps: Tensor, masks: Tensor, seeds: Sequence[int]) -> list[Measured]:
        curves = iou_curve(maps, masks, equal_thresholds(maps)).cpu().numpy()
        found = []
        for curve, seed in zip(curves, seeds, strict=True):
            parts = np.zeros((2, len(curve) + 1))
            parts[seed % 2] = [*curve, 1]
            found.append(Measured(float(curve.max()), parts=parts))
        return found

    def combined(self, parts: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Each half at the threshold that is best on the other; NaN where a half has no image."""
        sums, sizes = parts[..., :-1], parts[..., -1]
        chosen = sums.argmax(axis=-1)[:, ::-1]  # of the other half
        total = np.take_along_axis(sums, chosen[..., None], axis=-1)[..., 0].sum(axis=1)
        return np.where((sizes > 0).all(axis=1), total / counts, np.nan)


@register_metric
class IoUCurve(MaskMetric):
    """Area under the intersection over union of mask and region, over thresholds 0 … 1 of the scaled map."""

    name = "iou-curve"
    reference = "Jaccard 1912"
    across = "threshold"
    heights = "intersection over union"

    def judged(self, maps: Tensor, masks: Tensor, subject: Subject) -> list[Measured]:
        """With the curve."""
        levels = equal_thresholds(maps)
        values = iou_curve(maps, masks, levels).cpu().numpy()
        curves = [Curve(levels.cpu().double().numpy(), each) for each in values]
        return [Measured(curve.area, curve) for curve in curves]
