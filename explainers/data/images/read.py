"""An image file as a photo: read, refused with a reason where it is none, decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from explainers.data.images.decode import Header, decoded
from explainers.data.images.formats.bands import highest, picture_of, read_bands, source_of
from explainers.data.images.formats.pillow import UnknownFormatError, pillow_image
from explainers.data.images.formats.tiff_tags import MAGIC, picture as picture_page
from explainers.errors import ImageError, ReaderError
from explainers.storage.files import read_bytes
from explainers.storage.paths import shown, unreadable

if TYPE_CHECKING:
    import numpy as np

MAX_PIXELS = 100_000_000
NOT_OF_BANDS = "no TIFF file: bands and their white do not concern it"
BYTES_PER_PIXEL, SMALL = 8, 64 << 20  # four channels of 16 bits; a file of up to 64 MB is read in any case


@dataclass(frozen=True)
class Photo:
    """pixels: (H, W, 3) uint8 RGB, upright; notes: what was done that a user may want to know; bands: (H, W, K) values
    as the file has them, where a network takes those and not the picture."""

    pixels: np.ndarray
    notes: tuple[str, ...] = ()
    bands: np.ndarray | None = None

    @property
    def input(self) -> np.ndarray:
        """What a `Preprocessing` makes the network's input of."""
        return self.pixels if self.bands is None else self.bands


def read_image(
    path: str | PathLike[str],
    *,
    max_pixels: int = MAX_PIXELS,
    picture: Sequence[int] | None = None,
    white: float | None = None,
    values: bool = False,
) -> Photo:
    """Decode an image file: EXIF orientation applied, alpha on white, 8 bits a channel, first frame of an animation.

    Args:
        picture: bands of a TIFF file, counted from 1 as GeoTIFF does, that are shown as red, green and blue, or one as
            gray; white: the value that is white in it. What is none of these files is read as ever, and a note says so.
        values: a network takes the bands themselves; `Preprocessing.reading()` knows, and gives all three.

    Raises:
        ImageError: not an image, truncated, empty, unreadable, more than `max_pixels` pixels by its header, or a TIFF
            of which it is not known what is the picture (several pages, bands); or one whose bands cannot be read, or
            no TIFF, where `values` are asked for.
        ReaderError: a HEIC file without its package. DependencyError: OpenCV cannot be imported.
    """
    path = Path(path)
    data = _bytes_of(path, max_pixels)
    if data[:4] in MAGIC and (picture or white is not None or values):
        return _of_bands(path, data, max_pixels, (picture, white, values))
    if values:
        raise ImageError(f"{shown(path)} is no TIFF file; the network takes the bands of one, not a photo's colours")
    header, opaque = _header(path, data, max_pixels)
    pixels, assumed = decoded(path, data, header)
    notes = [*header.notes, *assumed]
    if not opaque:
        notes.append("transparency composited on white")
    if picture or white is not None:
        notes.append(NOT_OF_BANDS)
    return Photo(pixels, tuple(notes))


def _of_bands(
    path: Path, data: bytes, max_pixels: int, wanted: tuple[Sequence[int] | None, float | None, bool]
) -> Photo:
    chosen, white, values = wanted
    source = source_of(path, data)
    height, width, count = source.size
    _check_size(path, width, height, max_pixels)
    if source.bytes > max(SMALL, BYTES_PER_PIXEL * max_pixels):
        raise ImageError(
            f"{shown(path)} has {count} bands of {width} × {height} pixels, {source.bytes:,} bytes, more than "
            f"{BYTES_PER_PIXEL} for each of {max_pixels:,} pixels; raise it with max_pixels (--max-pixels)"
        )
    bands = read_bands(path, data, source)
    pixels, told = picture_of(path, bands.values, chosen, white)
    notes = (*bands.notes, told, f"to the network 1 is {white or highest(bands.values):.6g}" if values else "")
    return Photo(pixels, tuple(filter(None, notes)), bands.values if values else None)


def _bytes_of(path: Path, max_pixels: int) -> bytes:
    """A regular file's bytes, unless they are more than so many pixels take that are not compressed."""
    try:
        data = read_bytes(path, max(SMALL, BYTES_PER_PIXEL * max_pixels))
    except IsADirectoryError as error:
        raise ImageError(f"{shown(path)} is a folder, not an image") from error
    except OSError as error:
        raise ImageError(unreadable(path, error)) from error
    except MemoryError as error:
        raise ImageError(f"cannot read {shown(path)}: there is not enough memory") from error
    if not data:
        raise ImageError(f"{shown(path)} is empty (0 bytes)")
    return data


def _header(path: Path, data: bytes, max_pixels: int) -> tuple[Header, bool]:
    """What the header tells, and whether nothing is transparent; OpenCV would decode a bomb without asking."""
    if data[:4] in MAGIC:
        page, notes = picture_page(path, data)
        _check_size(path, page.width, page.height, max_pixels)
        return Header("TIFF", tuple(notes), page), not page.has_alpha
    _register_heif(path, data)
    try:
        with pillow_image(data) as image:
            width, height = image.size
            _check_size(path, width, height, max_pixels)
            kind, frames = image.format or "", getattr(image, "n_frames", 1)
            opaque = not ("A" in image.getbands() or "transparency" in image.info)
    except ImageError:
        raise
    except UnknownFormatError as error:
        if error.missing:
            newer = "which this Pillow was made without: pip install 'pillow>=11.3'"
            raise ReaderError(f"{shown(path)} is {error.missing}, {newer}") from error
        raise ImageError(f"{shown(path)} is not an image{_guess(data)}") from error
    except Exception as error:  # a decoder raises anything on damaged bytes
        raise ImageError(f"{shown(path)} is damaged: {error}") from error
    return Header(kind, (f"first of {frames} frames",) if frames > 1 else ()), opaque


def _check_size(path: Path, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageError(
            f"{shown(path)} has {width} × {height} pixels, more than the limit of {max_pixels:,}; "
            "raise it with max_pixels (--max-pixels) if you trust the file"
        )


def _register_heif(path: Path, data: bytes) -> None:
    if data[4:8] != b"ftyp" or data[8:12] not in (b"heic", b"heix", b"mif1", b"msf1", b"hevc"):
        return
    try:
        import pillow_heif
    except ImportError as error:
        raise ReaderError(f"{shown(path)} is HEIC, which needs pillow-heif: pip install 'explainers[heic]'") from error
    pillow_heif.register_heif_opener()


def _guess(data: bytes) -> str:
    text = data[:64]
    if text.lstrip()[:1] == b"<":
        return " (it begins like HTML or XML)"
    if all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in text):
        return " (it is text)"
    return ""
