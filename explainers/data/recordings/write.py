"""Maps beside the volumes and signals that they are of."""

from __future__ import annotations

import io
from os import PathLike
from pathlib import Path

import numpy as np

from explainers.data.recordings.nifti import write_nifti
from explainers.data.recordings.recording import Recording
from explainers.errors import MapError
from explainers.storage.atomic import write_bytes

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # DICOM's patient to NIfTI's


def write_map(path: str | PathLike[str], map_: np.ndarray, like: Recording) -> None:
    """Write a map (*axes) of a recording as .nii, .nii.gz or .npy.

    A NIfTI map has the affine of its volume, to the bit, so that viewers lay it over the volume. That of a DICOM series
    is turned into NIfTI's directions.

    Raises:
        MapError: the map has other axes than the recording, or a signal is to be a NIfTI file. WriteError: the disk.
    """
    path = Path(path)
    if tuple(map_.shape) != like.axes:
        raise MapError(f"a map of {map_.shape} for a recording of {like.axes}; enlarge it first (Preparation.back)")
    if path.suffix == ".npy":
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, map_.astype(np.float32), allow_pickle=False)
        write_bytes(path, buffer.getvalue())
        return
    if like.kind != "volume":
        raise MapError(f"{path.name}: the map of a signal is written as .npy")
    if like.origin is None and like.affine is not None:
        like = Recording(like.values, LPS_TO_RAS @ like.affine)
    write_nifti(path, map_, like)
