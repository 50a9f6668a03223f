"""A volume or a signal, as its file has it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from explainers.errors import ImageError
from explainers.storage.paths import shown

MOST_VALUES = 500_000_000  # of one file, as float32 two gigabytes


@dataclass(frozen=True, eq=False)
class Recording:
    """Values (C, *axes) float32 in the order in which the file stores its axes, channels first.

    A NIfTI file's axes are (X, Y, Z) of its affine, as nibabel and MONAI load them; a DICOM series' are (slice, row,
    column); a signal has the one of time.

    affine: (4, 4) from indices of the axes to millimetres, None where the file does not say; rate: samples per second
    of a signal, or None; notes: what a user may want to know; origin: what the format needs to write a map back.
    """

    values: np.ndarray
    affine: np.ndarray | None = None
    rate: float | None = None
    notes: tuple[str, ...] = ()
    origin: Any = field(default=None, repr=False)

    @property
    def axes(self) -> tuple[int, ...]:
        """How long each axis is."""
        return tuple(self.values.shape[1:])

    @property
    def kind(self) -> str:
        """ "volume" or "signal"."""
        return "signal" if len(self.axes) == 1 else "volume"


def first_line(error: BaseException) -> str:
    """What a parser says of damaged bytes, in a line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def check_count(path: Path, shape: Sequence[int], most: int) -> None:
    """See by its header that a file is not too large, before its values are read.

    Raises:
        ImageError: it holds nothing, or more than `most` values.
    """
    count = math.prod(shape)
    if count <= 0 or min(shape) <= 0:
        raise ImageError(f"{shown(path)} holds no values: its axes are {' × '.join(map(str, shape))}")
    if count > most:
        raise ImageError(
            f"{shown(path)} has {' × '.join(map(str, shape))} values, more than the limit of {most:,}; raise it with "
            "most= (--max-pixels) if you trust the file"
        )


def check_finite(path: Path, values: np.ndarray) -> None:
    """See that all values are numbers.

    Raises:
        ImageError: some are NaN or infinite.
    """
    bad = int(values.size - np.count_nonzero(np.isfinite(values)))
    if bad:
        raise ImageError(f"{shown(path)} has {bad:,} values that are NaN or infinite; replace them first")
