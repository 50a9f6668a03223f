"""Fewer values of a map, so that no peak is lost."""

from __future__ import annotations

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
