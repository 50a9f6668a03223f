"""From a map that was enlarged to the few values that it was enlarged from."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F

from explainers.core.maps import is_constant

SMALLEST_FACTOR = 3  # below it hardly a pixel lies on a straight line between its neighbours
NEAR = 1e-5  # of a map's range: below what 16 bits tell apart, and above the rounding of float32
PROBES = 8  # rows or columns that a size is tried on


def native(values: np.ndarray) -> np.ndarray:
    """The smallest map (h, w) whose bilinear enlargement (corners not aligned) is this one; itself where there is none.

    A layer's map of 7 × 7 values that was enlarged to 224 × 224 is found again, and nothing is lost: the enlargement
    is made and compared, everywhere, to 1e-5 of the map's range.

    Args:
        values: (H, W) finite.

    Cost: about a millisecond for a map of 224 × 224.
    """
    values = np.asarray(values, np.float64)
    span = float(values.max() - values.min())
    if is_constant(torch.from_numpy(values)):
        return values[:1, :1].astype(np.float32)
    if not _has_straight_lines(values, span):
        return values.astype(np.float32)
    rows = _fewer(values, span)
    if rows is None:
        return values.astype(np.float32)
    columns = _fewer(np.ascontiguousarray(values.T), span)
    if columns is None:
        return values.astype(np.float32)
    (down, back_down), (across, back_across) = _weights(rows, values.shape[0]), _weights(columns, values.shape[1])
    small = back_down @ values @ back_across.T
    if values.min() >= 0:
        small = small.clip(min=0)  # rounding below 0 would make a map one with signs, which has other colours
    if np.abs(down @ small @ across.T - values).max() > NEAR * span:
        return values.astype(np.float32)
    return small.astype(np.float32)


def _has_straight_lines(values: np.ndarray, span: float) -> bool:
    """Whether a map can be an enlargement at all: then a third of its pixels, at least, lie between two others."""
    if min(values.shape) < 2 * SMALLEST_FACTOR:
        return False
    bends = np.abs(np.diff(values, 2, axis=0)) > NEAR * span
    return bool(bends.mean() <= 1 - 1 / SMALLEST_FACTOR + 0.1)


def _fewer(values: np.ndarray, span: float) -> int | None:
    """The smallest number of rows whose enlargement the columns of a map are, None where there is none."""
    length, width = values.shape
    chosen = np.argsort(-np.ptp(values, axis=0), kind="stable")[:: max(1, width // PROBES)][:PROBES]
    columns = values[:, chosen]
    for count in range(1, length // SMALLEST_FACTOR + 1):
        forth, back = _weights(count, length)
        if np.abs(forth @ (back @ columns) - columns).max() <= NEAR * span:
            return count
    return None


@lru_cache(maxsize=512)
def _weights(count: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """(length, count) that enlarges `count` values, and (count, length) that finds them again."""
    ones = torch.eye(count, dtype=torch.float64, device="cpu")[None]
    forth = F.interpolate(ones, size=length, mode="linear", align_corners=False)[0].T.numpy()
    return forth, np.linalg.pinv(forth)
