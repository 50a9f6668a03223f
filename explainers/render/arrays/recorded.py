"""A volume, signal or clip as pictures, with and without maps: what a run and a notebook draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from explainers.render.arrays.blocks import largest
from explainers.render.arrays.pictures import MapRow, Picture, pixels_of
from explainers.render.arrays.signals import Curves
from explainers.render.arrays.volumes import Planes, animation, gray_of, strongest, walk_through


class Recorded(Protocol):
    """What is drawn: `Recording` of `data/recordings`, by its own words."""

    @property
    def values(self) -> np.ndarray:
        """(C, *axes)."""

    @property
    def affine(self) -> np.ndarray | None:
        """(4, 4)."""

    @property
    def rate(self) -> float | None:
        """Samples per second."""

    @property
    def axis_names(self) -> tuple[str, ...]:
        """Of the positions."""

    @property
    def header(self) -> Any:
        """Of a NIfTI file."""


def picture_of(subject: Recorded, rows: Sequence[MapRow], title: str = "") -> Picture:
    """Of a signal its curves with the maps' colours; of a volume or clip three planes through a map's strongest place.

    Args:
        rows: maps (*axes), or (C, *axes), of which volumes show what is largest in magnitude at each place. The planes
            go through the strongest place of the first map that is not the same everywhere.
    """
    if subject.values.ndim == 2:
        return Curves(subject.values, rows, subject.rate, title)
    flat = [replace(row, values=flattened(row.values)) for row in rows]
    uneven = [row.values for row in flat if np.ptp(row.values) > 0]
    place = strongest(uneven[0]) if uneven else None
    return Planes(gray_of(subject.values), flat, subject.axis_names, spacing_of(subject.affine), place, title)


def bare(subject: Recorded) -> np.ndarray:
    """(H, W, 3) uint8: the middle slice or frame, or the curves of a signal."""
    if subject.values.ndim == 2:
        return pixels_of(Curves(subject.values, [], subject.rate))
    return gray_of(subject.values[:, subject.values.shape[1] // 2])


def walk(subject: Recorded, row: MapRow) -> bytes:
    """An animated WebP of a volume's slices, or a clip's frames, with a map (*axes), or (C, *axes)."""
    flat = replace(row, values=flattened(row.values))
    return animation(walk_through(gray_of(subject.values), flat, axis=walked(None, subject)))


def flattened(values: np.ndarray) -> np.ndarray:
    """A map (A, B, C), or (K, A, B, C) of channels, as (A, B, C)."""
    return largest(values) if values.ndim == 4 else values


def walked(path: Path | None, subject: Recorded | None) -> int:
    """The axis that a walk goes along: time of a clip, else that of slices, which in NIfTI's order is the last.

    Args:
        path: its file, by which it is told where `subject` is not known.
    """
    if subject is None:
        return 2 if path is not None and path.name.endswith((".nii", ".nii.gz")) else 0
    return 2 if subject.header is not None else 0


def spacing_of(affine: np.ndarray | None) -> tuple[float, ...]:
    """Millimetres between places along each axis, or 1."""
    if affine is None:
        return (1.0, 1.0, 1.0)
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    return tuple(float(length) for length in lengths) if (lengths > 0).all() else (1.0, 1.0, 1.0)
