"""NIfTI files: volumes with the way from their indices to the patient."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from explainers.data.recordings.recording import Recording, check_count, first_line
from explainers.errors import DependencyError, ImageError
from explainers.storage.files import opened
from explainers.storage.paths import shown

HEADER_SIZES = {348: "Nifti1Image", 540: "Nifti2Image"}
NO_ORIENTATION = "the file does not say how its axes lie (sform and qform codes are 0): they are taken as stored"


def nibabel() -> Any:
    """The library.

    Raises:
        DependencyError: it is not installed.
    """
    try:
        import nibabel as library
    except ImportError as error:
        raise DependencyError("NIfTI files need nibabel: pip install 'explainers[medical]'") from error
    return library


def read_nifti(path: Path, most: int) -> Recording:
    """A volume (C, X, Y, Z); the axes behind the third one are channels.

    Raises:
        ImageError: damaged, truncated, or more than `most` values by its header. DependencyError: no nibabel.
    """
    library = nibabel()
    try:
        with _stream(path) as file:
            size = int.from_bytes(file.read(4), "little")
            big = int.from_bytes(size.to_bytes(4, "little"), "big")
            name = HEADER_SIZES.get(size) or HEADER_SIZES.get(big)
            if name is None:
                raise ImageError(f"{shown(path)} is no NIfTI file (its header has another size)")
            file.seek(0)
            image = getattr(library, name).from_stream(file)
            shape = tuple(int(side) for side in image.shape)
            if not 1 <= len(shape) <= 7:
                raise ImageError(f"{shown(path)} has {len(shape)} axes; expected a volume")
            check_count(path, shape, most)
            values = np.asarray(image.get_fdata(dtype=np.float32))
    except (ImageError, DependencyError):
        raise
    except OSError as error:
        raise ImageError(f"cannot read {shown(path)}: {error.strerror or first_line(error)}") from error
    except Exception as error:  # the parsers of gzip and nibabel raise anything on damaged bytes
        reason = first_line(error)
        raise ImageError(f"cannot read {shown(path)}: it is damaged ({reason})") from error
    notes = []
    while values.ndim < 3:
        values = values[..., None]
    if values.ndim > 3:
        channels = values.reshape(*values.shape[:3], -1)
        values = np.moveaxis(channels, -1, 0)
        if values.shape[0] > 1:
            notes.append(f"the {values.shape[0]} volumes behind the third axis are channels")
    else:
        values = values[None]
    header = image.header
    oriented = bool(header["sform_code"]) or bool(header["qform_code"])
    if not oriented:
        notes.append(NO_ORIENTATION)
    return Recording(
        np.ascontiguousarray(values), np.array(image.affine, float), None, tuple(notes), (type(image), header.copy())
    )


def write_nifti(path: Path, map_: np.ndarray, like: Recording) -> None:
    """A map (X, Y, Z) as float32 with the affine, codes and units of the volume that it is of."""
    library = nibabel()
    kind, header = like.origin if like.origin is not None else (library.Nifti1Image, None)
    image = kind(map_.astype(np.float32), like.affine if like.affine is not None else np.eye(4))
    if header is not None:
        for form in ("sform", "qform"):
            code = int(header[f"{form}_code"])
            matrix = header.get_sform() if form == "sform" else header.get_qform()
            getattr(image, f"set_{form}")(matrix if code else None, code)
        image.header.set_xyzt_units(*header.get_xyzt_units())
    image.header["descrip"] = b"heat map"
    data = image.to_bytes()
    from explainers.storage.atomic import write_bytes

    write_bytes(path, gzip.compress(data, 6, mtime=0) if path.name.endswith(".gz") else data)


@contextmanager
def _stream(path: Path) -> Iterator[IO[bytes]]:
    """The uncompressed bytes of a regular file, as many as are asked for."""
    with opened(path) as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not packed:
            yield file
            return
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield unpacked  # type: ignore[misc]
