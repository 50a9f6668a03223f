"""The random numbers of one generated sample, from a generator of its own."""

from __future__ import annotations

import hashlib

import numpy as np

from explainers.errors import OptionError

SPLITS = ("train", "val", "test")


def numbers_of(kind: str, split: str, seed: int, index: int) -> np.random.Generator:
    """The generator of sample `index`: it follows from these four alone, and no two of them share one.

    Raises:
        OptionError: no such split, or a negative index.
    """
    if split not in SPLITS:
        raise OptionError(f"split={split!r}; expected one of {', '.join(SPLITS)}")
    if isinstance(index, bool) or not isinstance(index, int) or index < 0:
        raise OptionError(f"index={index!r}; expected a whole number from 0")
    key = hashlib.sha256(repr((kind, split, seed, index)).encode()).digest()
    return np.random.default_rng(int.from_bytes(key[:16], "big"))


def smooth_noise(rng: np.random.Generator, size: tuple[int, ...], cells: int) -> np.ndarray:
    """float32 of any number of dimensions, within -1 … 1: random values on a grid of `cells` along the longest side,
    and a smooth way between them."""
    grids = [max(2, round(cells * length / max(size)) + 1) for length in size]
    values = rng.uniform(-1, 1, grids).astype(np.float32)
    for axis, (length, grid) in enumerate(zip(size, grids, strict=True)):
        place = np.linspace(0, grid - 1, length)
        left = np.minimum(place.astype(int), grid - 2)
        share = (place - left).astype(np.float32)
        share = (share * share * (3 - 2 * share)).reshape([-1 if each == axis else 1 for each in range(len(size))])
        values = values.take(left, axis) * (1 - share) + values.take(left + 1, axis) * share
    return values


def check_count(count: int) -> None:
    """OptionError where no sample is asked for."""
    if count < 1:
        raise OptionError(f"count={count}; expected at least 1")
