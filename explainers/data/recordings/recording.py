"""A volume, a signal or a clip, as its file has it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from explainers.errors import ImageError, ReaderError
from explainers.storage.paths import shown

MOST_VALUES = 500_000_000  # of one file: 2 GB as float32, a CT of 512 × 512 × 1,900


@dataclass(frozen=True, eq=False)
class Recording:
    """Values (C, *axes) float32 in the order in which the file stores its axes, channels first.

    A NIfTI file's axes are (x, y, z) of its affine, as nibabel and MONAI load them; a DICOM series' are (slice, row,
    column); a signal has the one of time, a clip (frame, row, column).

    affine: (4, 4) from indices of the axes to millimetres in the patient's RAS system (to the right, to the front,
    up), None where the file does not say; rate: samples per second of a signal, or None; notes: what a user may want to
    know; header: of a NIfTI file, for maps that go back; axis_names: for pictures.
    """

    values: np.ndarray
    affine: np.ndarray | None = None
    rate: float | None = None
    notes: tuple[str, ...] = ()
    header: Any = field(default=None, repr=False)
    axis_names: tuple[str, ...] = ("axis 0", "axis 1", "axis 2")

    @property
    def axes(self) -> tuple[int, ...]:
        """How long each axis is."""
        return tuple(self.values.shape[1:])


APART = 0.1  # of the distance between two places, from which on grids do not lie over each other


def lies_elsewhere(one: Recording, other: Recording) -> bool:
    """Whether two volumes of the same axes say that they lie at different places of the patient, by a tenth of a voxel
    or more at some corner; False where one of them does not say where it lies."""
    if not (_oriented(one) and _oriented(other)):
        return False
    assert one.affine is not None
    assert other.affine is not None
    corners = np.array(list(product(*((0, side - 1) for side in one.axes), (1,))), float).T
    apart = np.linalg.norm(((one.affine - other.affine) @ corners)[:3], axis=0).max()
    return bool(apart >= APART * np.linalg.norm(other.affine[:3, :3], axis=0).min())


def _oriented(recording: Recording) -> bool:
    header = recording.header
    told = header is None or bool(int(header["sform_code"]) or int(header["qform_code"]))
    return recording.affine is not None and told


def medical(name: str, files: str) -> Any:
    """A library that reads medical images; files: what needs it, for the error.

    Raises:
        ReaderError: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ReaderError(f'{files} need {name}: pip install "explainers[medical]"') from error


def check_count(path: Path, shape: Sequence[int], most: int) -> None:
    """See by its header that a file is not too large, before its values are read.

    Raises:
        ImageError: it holds nothing, or more than `most` values.
    """
    if not shape or min(shape) <= 0:
        raise ImageError(f"{shown(path)} holds no values: its axes are {described(shape)}; pass one that has some")
    if math.prod(shape) > most:
        raise ImageError(
            f"{shown(path)} has {described(shape)} values, more than the limit of {most:,}; raise it with "
            "max_pixels (--max-pixels) if you trust the file"
        )


def described(shape: Sequence[int]) -> str:
    """Axes as messages have them: "2 × 300"."""
    return " × ".join(map(str, shape))


def check_finite(path: str | Path, values: np.ndarray) -> None:
    """See that all values are numbers.

    Args:
        path: of the file, or what else messages call it.

    Raises:
        ImageError: some are NaN or infinite.
    """
    bad = int(values.size - np.count_nonzero(np.isfinite(values)))
    if bad:
        told = "value that is" if bad == 1 else "values that are"
        raise ImageError(f"{shown(path)} has {bad:,} {told} NaN or infinite; replace them first")


def first_line(error: Exception) -> str:
    """What an error of a library says, in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
