"""Fewer values of a map, so that no peak is lost, and regions on another grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def largest(values: np.ndarray) -> np.ndarray:
    """(C, *axes) to (*axes): the value of the channel with the largest magnitude."""
    found: np.ndarray = np.take_along_axis(values, np.abs(values).argmax(axis=0)[None], axis=0)[0]
    return found


def fewer(values: np.ndarray, count: int, axis: int) -> np.ndarray:
    """At most `count` values along an axis: of each block the one of the largest magnitude, with its sign."""
    if values.shape[axis] <= count:
        return values
    starts = np.arange(count) * values.shape[axis] // count
    high, low = np.maximum.reduceat(values, starts, axis), np.minimum.reduceat(values, starts, axis)
    return np.where(high >= -low, high, low)


def on_grid(region: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    """A region (*grid) bool over a recording whose axes are so long: at each place the nearest value."""
    if region.shape == tuple(axes):
        return region
    nearest = (
        ((np.arange(length) + 0.5) * cells / length).astype(int)
        for length, cells in zip(axes, region.shape, strict=True)
    )
    return region[np.ix_(*nearest)]


def stretches(inside: np.ndarray) -> list[tuple[int, int]]:
    """(start, stop) of each run of True in (L,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]
