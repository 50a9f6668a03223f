"""Metrics that compare a map with a mask of what it should show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from explainers.errors import OptionError
from explainers.evaluation.measuring.curves import Curve
from explainers.evaluation.measuring.subject import Measured, Measuring, Subject
from explainers.evaluation.metric import Metric, register_metric
from explainers.evaluation.metrics.localisation import (
    attention_errors,
    average_precision,
    best_box_iou,
    binarised,
    energy_pointing_game,
    iou,
    iou_curve,
    pointing_game,
    precision_recall_counts,
    relevance_rank,
)

LEVELS = 100
MERGED = 10
CHOICES = ("mean", "otsu", "validation")


class MaskMetric(Metric):
    """A metric of a map and a mask alone. Cost: no passes."""

    better = "higher"
    needs = frozenset({"masks"})

    def measure(self, subject: Subject) -> Measuring:
        """All images at once."""
        yield []
        return self.judged(subject.maps, subject.masks(), subject)

    def judged(self, maps: Tensor, masks: Tensor, subject: Subject) -> list[Measured]:
        """One Measured per map."""
        raise NotImplementedError


@register_metric
class MeanIoU(MaskMetric):
    """Intersection over union of the map's region and the mask.

    Args:
        threshold: how the region is told: "mean" (above the map's mean), "otsu", a number 0 … 1 of the scaled map, or
            "validation" (the number that is best on the other half of the images, told by their content).

    Rows also say `attention`: "over-attended", "insufficiently attended", "other", or nothing where it is right.
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
        curves = iou_curve(maps, masks, _levels(maps)).cpu().numpy()
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

    def judged(self, maps: Tensor, masks: Tensor, subject: Subject) -> list[Measured]:
        """With the curve."""
        levels = _levels(maps)
        values = iou_curve(maps, masks, levels).cpu().numpy()
        curves = [Curve(levels.cpu().double().numpy(), each) for each in values]
        return [Measured(curve.area, curve) for curve in curves]


@register_metric
class PointingGame(MaskMetric):
    """Whether the largest value lies in the mask or nearer to it than `tolerance` pixels.

    Source: Zhang et al. 2016; the tolerance as in TorchRay.
    """

    name = "pointing-game"
    reference = "Zhang et al. 2016"

    def __init__(self, *, tolerance: float = 15) -> None:
        if not tolerance >= 0:
            raise OptionError(f"tolerance={tolerance!r}; expected a distance in pixels")
        self.tolerance = tolerance

    def settings(self) -> dict[str, Any]:
        """The tolerance."""
        return {"tolerance": self.tolerance}

    def judged(self, maps: Tensor, masks: Tensor, subject: Subject) -> list[Measured]:
        """1 or 0."""
        return _each(pointing_game(maps, masks, self.tolerance))


@register_metric
class EnergyPointingGame(MaskMetric):
    """Share of a map's positive mass inside the mask.

    Source: Wang et al. 2020; relevance mass accuracy of Arras et al. 2022.
    """

    name = "energy-pointing-game"
    reference = "Wang et al. 2020"

    def judged(self, maps: Tensor, masks: Tensor, subject: Subject) -> list[Measured]:
        """Not defined for a map without positive values."""
        return _each(energy_pointing_game(maps, masks))


@register_metric
class RelevanceRank(MaskMetric):
    """Share of the K most important pixels inside the mask, which has K pixels.

    Source: Arras et al. 2022.
    """

    name = "relevance-rank"
    reference = "Arras et al. 2022"

    def judged(self, maps: Tensor, masks: Tensor, subject: Subject) -> list[Measured]:
        """Ties by position."""
        return _each(relevance_rank(maps, masks))


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
        overlaps = best_box_iou(maps, masks, _levels(maps, self.thresholds), self.multiple).cpu().numpy()
        met = overlaps[:, None, :] >= np.array(self.iou)[None, :, None]
        return [Measured(float(each.max(axis=1).mean()), parts=each.astype(np.float64)) for each in met]

    def combined(self, parts: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """The best threshold of each overlap."""
        return (parts / counts[:, None, None]).max(axis=2).mean(axis=1)


@register_metric
class PxAP(MaskMetric):
    """Average precision of pixels over the thresholds of the scaled map, pooled over images.

    Args:
        bins: thresholds between 0 and 1.

    The value of a row is that of its image alone.

    Source: Choe et al. 2020.
    """

    name = "pxap"
    reference = "Choe et al. 2020"

    def __init__(self, *, bins: int = 1000) -> None:
        if bins < 1:
            raise OptionError(f"bins={bins!r}; expected at least 1")
        self.bins = bins

    def settings(self) -> dict[str, Any]:
        """The thresholds."""
        return {"bins": self.bins}

    def judged(self, maps: Tensor, masks: Tensor, subject: Subject) -> list[Measured]:
        """With the counts of pixels at each threshold."""
        counts = precision_recall_counts(maps, masks, self.bins).cpu()
        values = average_precision(counts).tolist()
        return [Measured(value, parts=each) for value, each in zip(values, counts.numpy(), strict=True)]

    def coarser(self, parts: np.ndarray) -> np.ndarray:
        """Ten thresholds in one; the last bin, of the largest values, stays alone."""
        whole = self.bins // MERGED * MERGED
        merged = parts[:, :whole].reshape(2, -1, MERGED).sum(axis=2)
        return np.concatenate([merged, parts[:, whole:]], axis=1)

    def combined(self, parts: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """From the pooled counts."""
        found: np.ndarray = average_precision(torch.from_numpy(np.ascontiguousarray(parts))).numpy()
        return found


def _levels(maps: Tensor, count: int = LEVELS) -> Tensor:
    return torch.linspace(0, 1, count + 1, device=maps.device, dtype=maps.dtype)


def _each(values: Tensor) -> list[Measured]:
    return [Measured(value) for value in values.tolist()]
