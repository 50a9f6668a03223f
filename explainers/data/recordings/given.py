"""A recording as a caller has it in hand, a path or an array, or the reason why it is none of its kind."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from explainers.core.preprocessing.arrays import AXES
from explainers.data.images.find import SUFFIXES as PHOTOS
from explainers.data.recordings.dicom import is_dicom, is_series
from explainers.data.recordings.find import WHAT
from explainers.data.recordings.frames import frames_in
from explainers.data.recordings.read import read_recording, suffix_of
from explainers.data.recordings.recording import MOST_VALUES, Recording, check_finite, described
from explainers.errors import ImageError, counted
from explainers.storage.paths import not_there, shown

SHAPES = {
    "volume": "(D, H, W), (C, D, H, W) or (N, C, D, H, W)",
    "signal": "(L,), (C, L) or (N, C, L)",
    "clip": "(3, T, H, W) or (N, 3, T, H, W)",
}
NAMES = {
    "volume": ("axis 0", "axis 1", "axis 2"),
    "signal": ("sample",),
    "clip": ("frame", "row", "column"),
}


def as_recordings(given: Any, kind: str) -> list[tuple[str, Recording]]:
    """Paths and arrays of a kind, with the names that messages give them.

    Args:
        given: a path, as for `read_recording`, or an array, or a list of these; an array (N, C, *axes) is a batch, one
            (*axes) has one channel. kind: "volume", "signal" or "clip".

    Raises:
        ImageError: none of these, of another kind, empty, or not finite.
    """
    if isinstance(given, np.ndarray) and given.ndim == AXES[kind] + 2:
        given = list(given)
    several = list(given) if isinstance(given, (list, tuple)) else [given]
    if not several:
        raise ImageError(f"the list of {kind}s is empty; pass at least one")
    found = []
    for number, one in enumerate(several, start=1):
        if isinstance(one, (str, PathLike)):
            found.append((shown(one), read_kind(Path(one), kind)))
        else:
            name = "the array" if len(several) == 1 else f"array {number} of {len(several)}"
            found.append((name, _of_array(one, kind, name)))
    return found


def read_kind(path: Path, kind: str, most: int = MOST_VALUES) -> Recording:
    """As `read_recording`, of a file or folder that is of a kind.

    Raises:
        ImageError: it is of another.
    """
    _check_path(path, kind)
    found = read_recording(path, most=most)
    axes = len(found.axes)
    if axes != AXES[kind]:
        raise ImageError(
            f"{shown(path)} has {counted(axes, 'axis', 'axes')} behind its channels, and a {kind} has {AXES[kind]}; "
            f"pass a {kind}, or choose a network that takes {counted(axes, 'axis', 'axes')}"
        )
    return found


def kind_of_file(path: Path) -> str | None:
    """What a path names by its suffix, or by what lies in a folder; None where that is not told, as of an array.

    Raises:
        ImageError: a folder that cannot be read.
    """
    if path.is_dir():
        try:
            return "volume" if is_series(path) else "clip" if frames_in(path) else None
        except OSError as error:
            raise ImageError(f"cannot read the folder {shown(path)}: {error.strerror}") from error
    suffix = suffix_of(path)
    if suffix in PHOTOS:
        return "photo"
    told = {".nii": "volume", ".nii.gz": "volume", ".wav": "signal"}.get(suffix)
    return "volume" if told is None and is_dicom(path) else told


def _check_path(path: Path, kind: str) -> None:
    if not path.exists():
        raise ImageError(not_there(path))
    found = kind_of_file(path)
    if found == "photo":
        raise ImageError(f"{shown(path)} is a photo, and the network takes {kind}s; pass {_wanted(kind)}")
    if path.is_dir() and found != kind:
        inside = {"volume": "DICOM slices", "clip": "images", None: "no DICOM slices or images right in it"}[found]
        raise ImageError(f"{shown(path)} is a folder with {inside}, which is no {kind}; pass {_wanted(kind)}")


def _wanted(kind: str) -> str:
    """What there can be instead, as `find_recordings` looks for it."""
    looked = WHAT[kind].partition("(looked for ")[2].rstrip(")")
    return f"a {kind} ({looked}), or a list of them; `explain run` takes folders of them"


def _of_array(values: Any, kind: str, name: str) -> Recording:
    if not isinstance(values, np.ndarray):
        what = "a PIL image, which is a photo" if hasattr(values, "getexif") else type(values).__name__
        raise ImageError(f"expected a path, an array or a tensor of a {kind}, got {what}; pass {_wanted(kind)}")
    if values.ndim == AXES[kind] and kind != "clip":
        values = values[None]
    if values.ndim != AXES[kind] + 1 or values.dtype.kind not in "biuf":
        raise ImageError(
            f"{name} has the shape {values.shape} of {values.dtype}; pass numbers of a {kind}: {SHAPES[kind]}"
        )
    if 0 in values.shape:
        raise ImageError(f"{name} holds no values: its axes are {described(values.shape)}; pass one that has some")
    values = np.ascontiguousarray(values, np.float32)
    check_finite(name, values)
    return Recording(values, axis_names=NAMES[kind])
