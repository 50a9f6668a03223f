"""Precision and recall of a map's pixels over all thresholds, for one image or for many together."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from explainers.core.maps import scaled
from explainers.errors import OptionError
from explainers.evaluation.measuring.subject import Measured, Subject
from explainers.evaluation.metric import register_metric
from explainers.evaluation.metrics.localisation.histograms import from_the_top, inside_and_outside
from explainers.evaluation.metrics.localisation.mask_metric import MaskMetric

MERGED = 10


def precision_recall_counts(maps: Tensor, masks: Tensor, bins: int = 1000) -> Tensor:
    """(N, 2, bins + 1): pixels inside and outside of the mask by floor(bins · value) of the map scaled to 0 … 1.

    Sums over images are the counts of a data set, which is how PxAP pools them.
    """
    return inside_and_outside((scaled(maps.double()) * bins).long(), masks, bins + 1)


def average_precision(counts: Tensor) -> Tensor:
    """Σ_i (R_i - R_{i-1}) P_i over descending thresholds, from the counts (…, 2, bins + 1) above to (…), 0 … 1.

    Source: Choe et al. 2020, PxAP.
    """
    found = from_the_top(counts)
    hit = found[..., 0, :]
    precision = hit / found.sum(dim=-2).clamp(min=1)  # no pixel reaches the highest bins, which add no recall either
    return (precision * counts[..., 0, :]).sum(dim=-1) / hit[..., 0]


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
