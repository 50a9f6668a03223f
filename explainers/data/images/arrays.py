"""Arrays in .npy and .npz files, measured by their header before a value of them is read."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from explainers.errors import MapError
from explainers.storage.files import opened
from explainers.storage.paths import shown, unreadable

SUFFIXES = (".npy", ".npz")


def read_array(path: Path, key: str, *, max_pixels: int) -> np.ndarray:
    """(H, W) numbers of a .npy file, or of the array `key` (or the only one) of a .npz file.

    Raises:
        MapError: damaged, not numbers, not (H, W) or (1, H, W), or more than `max_pixels` values by its header.
    """
    values = read_values(path, key, max_pixels, axes=(2, 3))
    if values.ndim == 3 and values.shape[0] != 1:
        raise MapError(f"{shown(path)} has shape {values.shape}; expected (H, W)")
    return values[0] if values.ndim == 3 else values


def read_values(path: Path, key: str, most: int, *, axes: tuple[int, ...]) -> np.ndarray:
    """Numbers with one of these counts of axes, of a .npy file, or of the array `key` (or the only one) of a .npz file.

    Raises:
        MapError: damaged, not numbers, empty, another number of axes, or more than `most` values by its header.
    """
    try:
        with opened(path) as file:
            if file.read(2) != b"PK":
                file.seek(0)
                return _array(path, file, most, axes)
            file.seek(0)
            with zipfile.ZipFile(file) as archive, archive.open(_member(path, archive, key)) as inner:
                return _array(path, inner, most, axes)
    except MapError:
        raise
    except OSError as error:
        raise MapError(unreadable(path, error)) from error
    except Exception as error:  # the parsers of zip, zlib and NumPy's header raise anything on damaged bytes
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise MapError(f"cannot read {shown(path)}: it is damaged ({reason})") from error


def array_shape(path: Path) -> tuple[int, ...]:
    """The shape of a .npy file, or of the first array of a .npz file, by its header.

    Raises:
        MapError: there is none.
    """
    try:
        with opened(path) as file:
            if file.read(2) != b"PK":
                file.seek(0)
                return _header(file)[0]
            file.seek(0)
            with zipfile.ZipFile(file) as archive, archive.open(archive.namelist()[0]) as inner:
                return _header(inner)[0]
    except Exception as error:  # as above
        raise MapError(f"cannot read {shown(path)}: it is damaged, or no array") from error


def _member(path: Path, archive: zipfile.ZipFile, key: str) -> str:
    names = {name.removesuffix(".npy"): name for name in archive.namelist()}
    if key not in names and len(names) != 1:
        raise MapError(f"{shown(path)} holds {', '.join(map(shown, names)) or 'nothing'}; expected an array {key!r}")
    return names[key] if key in names else next(iter(names.values()))


def _array(path: Path, file: IO[bytes], most: int, axes: tuple[int, ...]) -> np.ndarray:
    shape, fortran, kind = _header(file)
    if kind.kind not in "bfiu":
        raise MapError(f"{shown(path)} holds {kind}, expected numbers")
    if len(shape) in axes and min(shape) == 0:
        raise MapError(f"{shown(path)} holds no values: its shape is {shape}")
    if len(shape) not in axes or min(shape) < 0:
        expected = "(H, W)" if axes == (2, 3) else f"{axes[0]} to {axes[-1]} axes"
        raise MapError(f"{shown(path)} has shape {shape}; expected {expected}")
    if math.prod(shape) > most:
        raise MapError(
            f"{shown(path)} has {' × '.join(map(str, shape))} values, more than the limit of {most:,}; "
            "raise it with max_pixels (--max-pixels) if you trust the file"
        )
    size = math.prod(shape) * kind.itemsize
    data = file.read(size)
    if len(data) < size:
        raise MapError(f"cannot read {shown(path)}: it is damaged (it ends after {len(data):,} of {size:,} bytes)")
    return np.frombuffer(data, kind).reshape(shape, order="F" if fortran else "C")


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, Any]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(file)
    raise ValueError(f"version {version} of the format is not that of numbers")
