"""How alike the maps of different methods are: Spearman's correlation on a common grid, image by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from explainers.core.maps import is_constant
from explainers.evaluation.metrics.similarity import average_ranks

GRID = 28  # cells on a side: finer than most layers, coarse enough for maps of single pixels to be compared
GRIDS = {1: GRID**2, 3: 9}  # and of a signal, and of a volume, to about as many cells


def ranks_of(map_: np.ndarray) -> np.ndarray | None:
    """A map (H, W), (L,) or (A, B, C) as ranks of its cells on the common grid, (cells,) float64 of mean 0 and length
    1; None of one that is the same everywhere."""
    values = torch.from_numpy(np.ascontiguousarray(map_, np.float32))[None, None]
    if is_constant(values):
        return None
    if map_.ndim != 2:
        size: Any = [min(GRIDS[map_.ndim], length) for length in map_.shape]
        cells = (F.adaptive_avg_pool1d if map_.ndim == 1 else F.adaptive_avg_pool3d)(values, size)
    else:
        cells = F.interpolate(values, size=(GRID, GRID), mode="bilinear", align_corners=False, antialias=True)
    ranks = average_ranks(cells.flatten(1))[0].numpy()
    centred = ranks - ranks.mean()
    length = float(np.linalg.norm(centred))
    found: np.ndarray | None = centred / length if length > 0 else None
    return found


def disagreement(ranks: Sequence[np.ndarray | None]) -> float | None:
    """1 less the mean correlation over all pairs of maps: 0 where all are in one order, about 1 where they have nothing
    to do with each other, up to 2; None of fewer than two maps."""
    there = np.array([each for each in ranks if each is not None])
    if len(there) < 2:
        return None
    pairs = np.triu_indices(len(there), 1)
    return float(1 - (there @ there.T)[pairs].mean())


@dataclass
class Agreement:
    """Mean correlations between methods over images.

    methods: in order. Each image is given once; only images for which both methods have a map count for a pair.
    """

    methods: Sequence[str]
    sums: np.ndarray = field(init=False)
    counts: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        size = len(self.methods)
        self.sums, self.counts = np.zeros((size, size)), np.zeros((size, size), int)

    def add(self, ranks: Sequence[np.ndarray | None]) -> None:
        """The ranks of an image's maps, in the order of the methods."""
        for first, one in enumerate(ranks):
            for second, other in enumerate(ranks):
                if one is not None and other is not None:
                    self.sums[first, second] += float(one @ other)
                    self.counts[first, second] += 1

    def table(self) -> list[list[float | None]]:
        """Mean correlations (methods, methods), None where there is no image of both."""
        return [
            [float(s / n) if n else None for s, n in zip(sums, counts, strict=True)]
            for sums, counts in zip(self.sums, self.counts, strict=True)
        ]

    def mean(self) -> float | None:
        """Over all pairs of different methods."""
        pairs = np.triu_indices(len(self.methods), 1)
        sums, counts = self.sums[pairs], self.counts[pairs]
        return float((sums[counts > 0] / counts[counts > 0]).mean()) if (counts > 0).any() else None
