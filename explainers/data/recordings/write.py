"""Maps as files that lie where the recording lies."""

from __future__ import annotations

import io
from os import PathLike
from pathlib import Path

import numpy as np

from explainers.data.recordings.nifti import nifti_bytes
from explainers.data.recordings.recording import Recording
from explainers.errors import MapError
from explainers.storage.atomic import write_bytes
from explainers.storage.paths import shown


def map_file(map_: np.ndarray, like: Recording) -> tuple[str, bytes]:
    """A map (*axes), or (C, *axes), of a recording as the suffix and content of a file.

    That of a volume with an affine is `.nii.gz` with this affine, to the bit, so that viewers lay it over the volume;
    all others are `.npy`, in float32.

    Raises:
        MapError: the map has other axes than the recording.
    """
    _check(map_, like)
    if like.affine is not None:
        return ".nii.gz", nifti_bytes(map_, like, packed=True)
    return ".npy", _npy(map_)


def write_map(path: str | PathLike[str], map_: np.ndarray, like: Recording) -> None:
    """Write a map (*axes), or (C, *axes), of a recording as .nii, .nii.gz or .npy; all or nothing.

    Raises:
        MapError: the map has other axes than the recording, it is to be a NIfTI file and the recording has no affine,
            or the suffix is another. WriteError: the disk.
    """
    path = Path(path)
    _check(map_, like)
    name = path.name.lower()
    if name.endswith(".npy"):
        write_bytes(path, _npy(map_))
    elif not name.endswith((".nii", ".nii.gz")):
        raise MapError(f"cannot write {shown(path)}: the name must end in .nii, .nii.gz or .npy")
    elif like.affine is None:
        raise MapError(f"cannot write {shown(path)}: where the recording lies is not known; write .npy")
    else:
        write_bytes(path, nifti_bytes(map_, like, packed=name.endswith(".gz")))


def _check(map_: np.ndarray, like: Recording) -> None:
    if tuple(map_.shape[-len(like.axes) :]) != like.axes or map_.ndim - len(like.axes) not in (0, 1):
        raise MapError(f"a map of {map_.shape} for a recording of {like.axes}; enlarge it first (preprocessing.back)")


def _npy(map_: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, map_.astype(np.float32), allow_pickle=False)
    return buffer.getvalue()
