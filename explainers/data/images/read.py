"""An image file as a photo: read, refused with a reason where it is none, decoded."""

from __future__ import annotations

import io
import os
import stat
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from explainers.data.images.decode import decoded
from explainers.errors import DependencyError, ImageError
from explainers.storage.atomic import shown

if TYPE_CHECKING:
    import numpy as np

MAX_PIXELS = 100_000_000


@dataclass(frozen=True)
class Photo:
    """pixels: (H, W, 3) uint8 RGB, upright; notes: what was done that a user may want to know."""

    pixels: np.ndarray
    notes: tuple[str, ...] = ()


def read_image(path: str | PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Photo:
    """Decode an image file: EXIF orientation applied, alpha on white, 8 bits a channel, first frame of an animation.

    Raises:
        ImageError: not an image, truncated, empty, unreadable, or more than `max_pixels` pixels by its header.
        DependencyError: OpenCV cannot be imported, or a HEIC file without pillow-heif.
    """
    path = Path(path)
    data = _bytes_of(path)
    kind, frames, opaque = _header(path, data, max_pixels)
    notes = []
    if frames > 1:
        notes.append(f"first of {frames} frames")
    pixels = decoded(path, data, kind)
    if not opaque:
        notes.append("transparency composited on white")
    return Photo(pixels, tuple(notes))


def _bytes_of(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            kind = "a folder" if path.is_dir() else "not a regular file"
            raise ImageError(f"{shown(path)} is {kind}, not an image")
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot read {shown(path)}: {error.strerror}") from error
    if not data:
        raise ImageError(f"{shown(path)} is empty (0 bytes)")
    return data


def _header(path: Path, data: bytes, max_pixels: int) -> tuple[str, int, bool]:
    """(format, frames, opaque) from the header alone; OpenCV would decode a bomb without asking."""
    from PIL import Image, UnidentifiedImageError

    _register_heif(data)
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
            kind, frames = image.format or "", getattr(image, "n_frames", 1)
            opaque = not ("A" in image.getbands() or "transparency" in image.info)
    except UnidentifiedImageError as error:
        raise ImageError(f"{shown(path)} is not an image{_guess(data)}") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ImageError(f"{shown(path)} is damaged: {error}") from error
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    if width * height > max_pixels:
        raise ImageError(
            f"{shown(path)} has {width} × {height} pixels, more than the limit of {max_pixels:,}; "
            "raise it with max_pixels (--max-pixels) if you trust the file"
        )
    return kind, frames, opaque


def _register_heif(data: bytes) -> None:
    if data[4:8] != b"ftyp" or data[8:12] not in (b"heic", b"heix", b"mif1", b"msf1", b"hevc"):
        return
    try:
        import pillow_heif
    except ImportError as error:
        raise DependencyError("HEIC images need pillow-heif: pip install 'explainers[heic]'") from error
    pillow_heif.register_heif_opener()


def _guess(data: bytes) -> str:
    text = data[:64]
    if text.lstrip()[:1] == b"<":
        return " (it begins like HTML or XML)"
    if all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in text):
        return " (it is text)"
    return ""
