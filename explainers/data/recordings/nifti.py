"""NIfTI files: volumes with the way from their indices to the patient."""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from explainers.data.recordings.recording import Recording, check_count, medical
from explainers.errors import ImageError
from explainers.storage.files import opened
from explainers.storage.paths import shown

KINDS = {348: ("Nifti1Header", b"n+1"), 540: ("Nifti2Header", b"n+2")}  # by the size of the header
MOST_BEFORE = 64 << 20  # bytes of extensions between a header and its values
NO_ORIENTATION = "the file does not say how its axes lie (sform and qform codes are 0): they are taken as stored"


def read_nifti(path: Path, most: int) -> Recording:
    """A volume (C, X, Y, Z), in the order in which the file has its axes; those behind the third one are channels.

    Raises:
        ImageError: damaged, truncated, without a third axis, not of real numbers, or more than `most` values by its
            header; no more bytes are unpacked than the header says. ReaderError: no nibabel.
    """
    library = medical("nibabel", "NIfTI files")
    try:
        with _stream(path) as file:
            header, head = _header(path, library, file)
            shape = tuple(int(side) for side in header.get_data_shape())
            check_count(path, shape, most)
            if len(shape) < 3:
                told = " × ".join(map(str, shape)) or "one value"
                raise ImageError(
                    f"{shown(path)} is no volume: it has {len(shape)} axes ({told}), and a volume has three"
                )
            kind = header.get_data_dtype()
            if kind.kind not in "iuf":
                raise ImageError(f"{shown(path)} has {kind} values; a volume has one real number at each place")
            before = int(header["vox_offset"]) - len(head)
            if not 0 <= before <= MOST_BEFORE:
                raise ImageError(f"{shown(path)} is damaged: its values begin at byte {int(header['vox_offset']):,}")
            file.read(before)
            affine, scale = _affine(path, header), header.get_slope_inter()
            size = math.prod(shape) * kind.itemsize
            data = file.read(size)
    except ImageError:
        raise
    except (OSError, EOFError) as error:
        raise ImageError(f"cannot read {shown(path)}: {getattr(error, 'strerror', None) or error}") from error
    except Exception as error:  # the parsers of gzip and nibabel raise anything on damaged bytes
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ImageError(f"cannot read {shown(path)}: it is damaged ({reason})") from error
    if len(data) < size:
        raise ImageError(f"{shown(path)} is truncated: {len(data):,} of {size:,} bytes of values")
    return _recording(header, affine, _scaled(path, scale, np.frombuffer(data, kind).reshape(shape, order="F")))


def nifti_bytes(map_: np.ndarray, like: Recording, *, packed: bool) -> bytes:
    """A map (X, Y, Z), or (C, X, Y, Z) with the channels as NIfTI's fourth axis, as a file of float32.

    Its affine, codes and units are those of the volume, to the bit; extensions and names that the volume carries are
    not copied.
    """
    library = medical("nibabel", "NIfTI files")
    values = map_ if map_.ndim == 3 else np.moveaxis(map_, 0, -1)
    if like.header is None:
        data = library.Nifti1Image(values.astype(np.float32), like.affine).to_bytes()
    else:
        header = like.header.copy()
        header.set_data_shape(values.shape)
        header.set_data_dtype(np.float32)
        header.set_slope_inter(1, 0)
        header["vox_offset"] = len(header.binaryblock) + 4
        for name, value in (("descrip", b"heat map"), ("aux_file", b""), ("intent_name", b""), ("intent_code", 0)):
            header[name] = value
        header["cal_max"] = header["cal_min"] = 0
        order = header.endianness
        data = header.binaryblock + b"\0\0\0\0" + values.astype(f"{order}f4").tobytes(order="F")
    return gzip.compress(data, 6, mtime=0) if packed else data


def _header(path: Path, library: Any, file: IO[bytes]) -> tuple[Any, bytes]:
    """The header of a single file, and its bytes."""
    first = file.read(4)
    sizes = {int.from_bytes(first, "little"), int.from_bytes(first, "big")} & set(KINDS)
    if not sizes:
        raise ImageError(f"{shown(path)} is no NIfTI file" + (" (it is empty)" if not first else ""))
    size = sizes.pop()
    name, magic = KINDS[size]
    head = first + file.read(size - 4)
    if len(head) < size:
        raise ImageError(f"{shown(path)} is truncated: its header ends after {len(head)} of {size} bytes")
    header = getattr(library, name)(head, check=False)
    if not bytes(header["magic"]).startswith(magic):
        raise ImageError(
            f"{shown(path)} is not a single NIfTI file (a header alone, of a pair .hdr and .img, or Analyze)"
        )
    return header, head


def _affine(path: Path, header: Any) -> np.ndarray | None:
    """(4, 4) from indices to millimetres, None where the file says neither directions nor sizes."""
    affine = np.array(header.get_best_affine(), float)
    if not np.isfinite(affine).all() or not np.linalg.det(affine):
        if not _oriented(header):
            return None
        raise ImageError(
            f"{shown(path)} is damaged: its affine says no place for its values "
            f"({'it is not finite' if not np.isfinite(affine).all() else 'it has no inverse'}); write it anew with one "
            "that does"
        )
    return affine


def _scaled(path: Path, scale: tuple[Any, Any], stored: np.ndarray) -> np.ndarray:
    """The values that the stored ones stand for: float32."""
    slope, intercept = scale
    if slope is None:
        return stored.astype(np.float32)
    if slope == 0:
        raise ImageError(f"{shown(path)} is damaged: its slope is 0, so that all values are equal")
    return (stored * np.float64(slope) + np.float64(intercept)).astype(np.float32)


def _oriented(header: Any) -> bool:
    return bool(int(header["sform_code"]) or int(header["qform_code"]))


def _recording(header: Any, affine: np.ndarray | None, values: np.ndarray) -> Recording:
    notes = []
    channels = np.moveaxis(values.reshape(*values.shape[:3], -1), -1, 0)
    if len(channels) > 1:
        notes.append(f"the {len(channels)} volumes behind the third axis are channels")
    if not _oriented(header):
        notes.append(NO_ORIENTATION)
    return Recording(np.ascontiguousarray(channels), affine, None, tuple(notes), header, axis_names=("x", "y", "z"))


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
