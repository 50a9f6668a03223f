"""DICOM series: a folder of slices as one volume."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from explainers.data.images.find import SUFFIXES
from explainers.data.recordings.recording import Recording, check_count, first_line, medical
from explainers.errors import ImageError
from explainers.storage.files import opened
from explainers.storage.paths import shown

MAGIC_AT, MAGIC = 128, b"DICM"
SUFFIX = ".dcm"
INDEX = "dicomdir"  # of a disc: it names its series, and is no slice
UNEVEN = 0.01  # of the usual distance between slices
DEFLATED = ("1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.8.1")  # files that are unpacked whole before anything is known
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # DICOM's patient to NIfTI's


def slices_in(folder: Path) -> list[Path]:
    """The DICOM files right in a folder, by what they begin with or are called, sorted by name."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and is_dicom(path))


def is_series(folder: Path) -> bool:
    """Whether there are DICOM files right in a folder."""
    try:
        return any(not path.name.startswith(".") and is_dicom(path) for path in sorted(folder.iterdir()))
    except OSError:  # nothing can be seen of it
        return False


def read_series(folder: Path, most: int) -> Recording:
    """A volume (1, slice, row, column), slices ordered by their places along the normal of their planes.

    Values are stored ones times slope plus intercept (Hounsfield units of a CT). The affine leads from (slice, row,
    column) to millimetres in NIfTI's RAS system, whose first two axes point the other way than DICOM's.

    Raises:
        ImageError: several series, slices of other sizes or directions, two at one place, damaged or compressed ones,
            or more than `most` values. ReaderError: no pydicom.
    """
    library = medical("pydicom", "DICOM series")
    files = slices_in(folder)
    heads = [_head(library, path) for path in files]
    _check_series(folder, files, heads)
    first = heads[0]
    shape = (len(files), int(first.Rows), int(first.Columns))
    check_count(folder, shape, most)
    places, normal = _places(folder, heads)
    order = np.argsort(places, kind="stable")
    notes = []
    distance = np.diff(places[order])
    if len(distance) and distance.min() <= 0:
        raise ImageError(f"{shown(folder)} has two slices at one place ({places[order][int(distance.argmin())]:g} mm)")
    if len(distance) and np.ptp(distance) > UNEVEN * np.median(distance):
        notes.append(
            f"slices are {distance.min():g} to {distance.max():g} mm apart; they are taken as evenly spaced "
            f"({np.median(distance):g} mm), so that places behind a gap are not those of the patient"
        )
    values = np.stack([_values(library, files[index]) for index in order])
    if getattr(first, "PhotometricInterpretation", "") == "MONOCHROME1":
        notes.append("stored with white as 0 (MONOCHROME1); values are as stored")
    spacing = float(np.median(distance)) if len(distance) else float(getattr(first, "SliceThickness", 0) or 1)
    affine = _affine(heads[order[0]], normal, spacing)
    return Recording(values[None].astype(np.float32), affine, None, tuple(notes), axis_names=("slice", "row", "column"))


def is_dicom(path: Path) -> bool:
    """Whether a file is a slice. One that is only called so counts too, so that it is told and not left out."""
    if path.suffix.lower() in SUFFIXES or path.name.lower() == INDEX:  # photos are not read to find that out
        return False
    if path.suffix.lower() == SUFFIX:
        return path.is_file()
    try:
        with opened(path) as file:
            file.seek(MAGIC_AT)
            return file.read(4) == MAGIC
    except OSError:
        return False


def _head(library: Any, path: Path) -> Any:
    return _parsed(library, path, stop=True)


def _values(library: Any, path: Path) -> np.ndarray:
    """(row, column) of a slice, in its units."""
    found = _parsed(library, path, stop=False)
    try:
        stored = np.asarray(found.pixel_array, np.float32)
    except Exception as error:  # missing decoders, damaged data: pydicom raises many kinds
        raise ImageError(f"cannot read the pixels of {shown(path)}: {first_line(error)}") from error
    if stored.ndim != 2:
        raise ImageError(f"{shown(path)} holds {stored.ndim} axes of pixels; expected one gray slice")
    return stored * float(getattr(found, "RescaleSlope", 1) or 1) + float(getattr(found, "RescaleIntercept", 0) or 0)


def _parsed(library: Any, path: Path, *, stop: bool) -> Any:
    try:
        with opened(path):  # a regular file
            syntax = library.filereader.read_file_meta_info(path).get("TransferSyntaxUID")
        if syntax in DEFLATED:
            raise ImageError(f"{shown(path)} is a deflated DICOM file, which is not unpacked here; save it without")
        with opened(path) as file:
            return library.dcmread(file, stop_before_pixels=stop)
    except ImageError:
        raise
    except OSError as error:
        raise ImageError(f"cannot read {shown(path)}: {error.strerror or first_line(error)}") from error
    except Exception as error:  # whatever a parser raises on damaged bytes
        raise ImageError(f"cannot read {shown(path)}: it is damaged ({first_line(error)})") from error


def _check_series(folder: Path, files: Sequence[Path], heads: Sequence[Any]) -> None:
    series = {str(getattr(head, "SeriesInstanceUID", "")) for head in heads}
    if len(series) > 1:
        raise ImageError(f"{shown(folder)} holds slices of {len(series)} series; give each a folder of its own")
    for key in ("Rows", "Columns", "ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing"):
        for path, head in zip(files, heads, strict=True):
            if getattr(head, key, None) is None:
                raise ImageError(f"{shown(path)} does not say its {key}, so slices cannot be put in order")
    for path, head in zip(files, heads, strict=True):
        if int(getattr(head, "NumberOfFrames", 1) or 1) != 1 or int(getattr(head, "SamplesPerPixel", 1) or 1) != 1:
            raise ImageError(f"{shown(path)} holds several frames or colours; expected one gray slice a file")
    for key in ("Rows", "Columns"):
        if len({int(getattr(head, key)) for head in heads}) > 1:
            raise ImageError(f"{shown(folder)} holds slices of different sizes ({key}); they are no one volume")
    directions = np.array([[float(each) for each in head.ImageOrientationPatient] for head in heads])
    if np.abs(directions - directions[0]).max() > 1e-3:
        raise ImageError(f"{shown(folder)} holds slices of different directions; they are no one volume")


def _places(folder: Path, heads: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """(n,) millimetres of each slice along the normal, and the normal (3,)."""
    direction = np.array([float(each) for each in heads[0].ImageOrientationPatient])
    normal = np.cross(direction[:3], direction[3:])
    if np.linalg.norm(normal) < 1e-6:
        raise ImageError(f"{shown(folder)}: rows and columns of its slices have one direction")
    positions = np.array([[float(each) for each in head.ImagePositionPatient] for head in heads])
    return positions @ normal, normal / np.linalg.norm(normal)


def _affine(first: Any, normal: np.ndarray, spacing: float) -> np.ndarray:
    """(4, 4) from (slice, row, column) to millimetres."""
    direction = np.array([float(each) for each in first.ImageOrientationPatient])
    between_rows, between_columns = (float(each) for each in first.PixelSpacing)
    affine = np.eye(4)
    affine[:3, 0] = normal * spacing
    affine[:3, 1] = direction[3:] * between_rows  # down a column, from row to row
    affine[:3, 2] = direction[:3] * between_columns
    affine[:3, 3] = [float(each) for each in first.ImagePositionPatient]
    return LPS_TO_RAS @ affine
