"""A file, or a folder of DICOM slices, as a recording; or the reason why not."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from explainers.data.recordings.arrays import read_numpy
from explainers.data.recordings.dicom import is_series, read_series
from explainers.data.recordings.nifti import read_nifti
from explainers.data.recordings.recording import MOST_VALUES, Recording, check_finite
from explainers.data.recordings.wav import read_wav
from explainers.errors import ImageError
from explainers.storage.paths import shown

READERS = {".nii": read_nifti, ".nii.gz": read_nifti, ".wav": read_wav, ".npy": read_numpy, ".npz": read_numpy}


def suffix_of(path: Path) -> str:
    """The suffix that says what is in a file; ".nii.gz" counts as one."""
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else Path(name).suffix


def read_recording(path: str | PathLike[str], *, most: int = MOST_VALUES) -> Recording:
    """A volume (C, *axes) or a signal (C, L).

    Args:
        path: a NIfTI, WAV, .npy or .npz file, or a folder with the slices of one DICOM series.
        most: values that a file may have.

    Raises:
        ImageError: none of these, damaged, empty, unreadable, larger than `most` by its header, or with values that are
            not finite; several series in a folder.
        DependencyError: nibabel or pydicom is not installed.
    """
    path = Path(path)
    if path.is_dir():
        if not is_series(path):
            raise ImageError(
                f"{shown(path)} is a folder without DICOM slices; a volume is a file, or a folder of these"
            )
        found = read_series(path, most)
    else:
        suffix = suffix_of(path)
        if suffix not in READERS:
            raise ImageError(f"{shown(path)} is no volume or signal that is read here ({', '.join(READERS)}, DICOM)")
        found = READERS[suffix](path, most)
    check_finite(path, found.values)
    return found
