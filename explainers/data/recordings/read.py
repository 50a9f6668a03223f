"""A file, or a folder of DICOM slices or frames, as a recording; or the reason why not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from os import PathLike
from pathlib import Path

from explainers.data.recordings.dicom import is_dicom, is_series, read_series, slices_in
from explainers.data.recordings.frames import frames_in, read_frames
from explainers.data.recordings.nifti import read_nifti
from explainers.data.recordings.numpy_arrays import read_numpy
from explainers.data.recordings.recording import MOST_VALUES, Recording, check_finite
from explainers.data.recordings.wav import read_wav
from explainers.errors import ImageError
from explainers.storage.files import content_hash
from explainers.storage.paths import shown

READERS: dict[str, Callable[..., Recording]] = {
    ".nii": read_nifti,
    ".nii.gz": read_nifti,
    ".wav": read_wav,
    ".npy": read_numpy,
    ".npz": read_numpy,
}


def suffix_of(path: Path) -> str:
    """The suffix that says what is in a file; ".nii.gz" counts as one."""
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else Path(name).suffix


def read_recording(path: str | PathLike[str], *, most: int = MOST_VALUES, key: str = "values") -> Recording:
    """A volume (C, *axes), a signal (C, L) or a clip (3, frame, row, column).

    Args:
        path: a NIfTI, WAV, .npy or .npz file, a folder with the slices of one DICOM series, or one of numbered images.
        most: values that it may have; key: of the array in a .npz file that has several.

    Raises:
        ImageError: none of these, damaged, empty, unreadable, larger than `most` by its header, or with values that are
            not finite; several series in a folder.
        ReaderError: nibabel or pydicom is not installed.
    """
    path = Path(path)
    try:
        if path.is_dir():
            found = read_series(path, most) if is_series(path) else read_frames(path, most)
        else:
            suffix = suffix_of(path)
            if suffix not in READERS:
                if is_dicom(path):
                    raise ImageError(
                        f"{shown(path)} is a DICOM file, of which a volume has many: pass the folder of its slices"
                    )
                raise ImageError(
                    f"{shown(path)} is no volume or signal that is read here ({', '.join(READERS)}, a folder of DICOM "
                    "slices or of frames); pass one of these"
                )
            found = READERS[suffix](path, most, **({"key": key} if suffix == ".npz" else {}))
    except MemoryError as error:
        raise ImageError(f"cannot read {shown(path)}: there is not enough memory") from error
    check_finite(path, found.values)
    return found


def content_of(path: Path) -> bytes:
    """SHA-256 of a file, or of the names and contents of all slices or frames of a folder.

    Raises:
        OSError: one cannot be read.
    """
    if not path.is_dir():
        return content_hash(path)
    digest = hashlib.sha256()
    for part in slices_in(path) if is_series(path) else frames_in(path):
        digest.update(part.name.encode("utf-8", "surrogateescape") + b"\0" + content_hash(part))
    return digest.digest()
