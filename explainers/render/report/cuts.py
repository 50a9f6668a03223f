"""Which slices of a volume a page shows, and what a map has there, no larger than a page can hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from explainers.render.arrays import fewer

SLICES = 48  # of a volume or clip at most
MOST = 1 << 18  # values of a map at most: half a megabyte of text
SAMPLES = 4096  # of a signal's map at most


def chosen(count: int, wanted: Iterable[int], most: int = SLICES) -> list[int]:
    """Places along an axis of `count`: all, or `most` of them evenly, the nearest of which give way to those wanted."""
    if count <= most:
        return list(range(count))
    found = np.linspace(0, count - 1, most).round().astype(int)
    free = np.ones(most, bool)
    for place in list(dict.fromkeys(wanted))[:most]:
        nearest = int(np.where(free, np.abs(found - place), count).argmin())
        found[nearest], free[nearest] = place, False
    return sorted({int(each) for each in found})


def place_in(index: int, count: int, length: int) -> int:
    """Where of an axis of `length` the place `index` of a map of `count` lies."""
    return int(np.clip(round((index + 0.5) * length / count - 0.5), 0, length - 1))


def cut(map_: np.ndarray, axis: int, places: Sequence[int], length: int) -> np.ndarray:
    """Slices of a map where those of its volume are.

    Args:
        map_: (A, B, C); places: along the axis of the volume, which has `length` of them; the map may have fewer or
            more, and is linear between them (corners not aligned), as where it is enlarged.

    Returns:
        (len(places), ·, ·) float32.
    """
    count = map_.shape[axis]
    at = np.clip((np.asarray(places) + 0.5) * count / length - 0.5, 0, count - 1)
    first = np.floor(at).astype(int)
    second = np.minimum(first + 1, count - 1)
    share = (at - first).reshape(-1, 1, 1).astype(np.float32)
    moved = np.moveaxis(map_, axis, 0)
    found: np.ndarray = moved[first] + share * (moved[second] - moved[first])
    return found


def bounded(shape: Sequence[int], most: int = MOST) -> tuple[int, int]:
    """How many rows and columns of slices (S, H, W) are kept, so that there are no more than `most` values."""
    slices, height, width = shape
    factor = min(1.0, (most / (slices * height * width)) ** 0.5)
    return max(1, int(height * factor)), max(1, int(width * factor))


def smaller(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """(S, H, W) as (S, height, width): of each block the value of the largest magnitude, so that no peak is lost."""
    if values.shape[1:] == (height, width):
        return values
    return fewer(fewer(values, height, 1), width, 2)


def below_each_other(whole: np.ndarray, height: int, width: int) -> tuple[np.ndarray, tuple[int, int] | None]:
    """Slices (S, H, W) as one field (S · height, width), and the (H, W) that they had, None where all is kept."""
    kept = smaller(whole, height, width)
    return kept.reshape(-1, width), None if kept.shape == whole.shape else (whole.shape[1], whole.shape[2])


def nearest(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """(S, H, W) as (S, height, width): of each block the value at its middle."""
    rows, columns = (
        ((np.arange(count) + 0.5) * length / count).astype(int)
        for count, length in zip((height, width), mask.shape[1:], strict=True)
    )
    found: np.ndarray = mask[:, rows][:, :, columns]
    return found


def seen_along(
    axis: int, places: Sequence[int], axes: Sequence[int], names: Sequence[str], spacing: Sequence[float]
) -> dict[str, Any]:
    """What the page has to know of slices at `places` along an axis, from which it makes those along the others.

    Args:
        axes: how long each of the volume's axes is; names: of them; spacing: between places along each.
    """
    kept = [
        {"name": name, "length": length, "extent": length * apart}
        for name, length, apart in zip(names, axes, spacing, strict=True)
    ]
    return {"axis": names[axis], "at": list(places), "of": axes[axis], "along": axis, "axes": kept}
