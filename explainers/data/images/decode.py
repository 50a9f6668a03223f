"""The bytes of an image file as pixels: OpenCV decodes, Pillow what OpenCV cannot.

Whichever does, the pixels are upright, on white where they were transparent, and of 8 bits a channel.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explainers.data.images.formats.bands import rotated
from explainers.data.images.formats.eight_bits import eight_bits
from explainers.data.images.formats.pillow import pillow_image
from explainers.data.images.formats.png_chunks import pixels_alone
from explainers.data.images.formats.tiff_tags import WHITE_IS_ZERO, Page
from explainers.data.images.import_opencv import opencv
from explainers.errors import ImageError
from explainers.storage.paths import shown

if TYPE_CHECKING:
    import numpy as np

DEEP = frozenset(("GIF", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP"))  # may have alpha or more than 8 bits
BY_PILLOW = frozenset(("AVIF", "HEIF"))  # their alpha and turns, which OpenCV drops


@dataclass(frozen=True)
class Header:
    """What a file is: Pillow's name of the format, such as "JPEG", notes for the user, and of a TIFF its page."""

    kind: str
    notes: tuple[str, ...] = ()
    page: Page | None = None


def decoded(path: Path, data: bytes, header: Header) -> tuple[np.ndarray, list[str]]:
    """(H, W, 3) uint8 RGB of a file's bytes, and notes on how its values were read.

    Args:
        path: for errors.

    Raises:
        ImageError: the file is damaged. DependencyError: OpenCV cannot be imported.
    """
    opencv()
    try:
        if header.kind in BY_PILLOW or (header.page and _only_pillow_reads(header.page)):
            return _by_pillow(data)
        return _by_opencv(data, header)
    except Exception as error:  # decoders raise anything on damaged bytes, and one file must not end a run
        what = "there is not enough memory to decode it" if isinstance(error, MemoryError) else str(error).strip()
        reason = (what.splitlines() or [type(error).__name__])[-1]
        raise ImageError(f"{shown(path)} is damaged: {reason}") from error


def upright_pixels(image: Any) -> tuple[np.ndarray, list[str]]:
    """(H, W, 3) uint8 RGB of a PIL image, and notes on how its values were read."""
    import numpy as np
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values = np.asarray(image)
        if image.mode == "I" and values.min() >= 0 and values.max() <= 65535:
            values = values.astype(np.uint16)  # Pillow's older form of 16 bits
        return eight_bits(values)
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.asarray(image.convert("RGB")), []


def _only_pillow_reads(page: Page) -> bool:
    """Gray with alpha, CMYK and Lab: OpenCV takes the second, or the fourth, for something else."""
    return page.samples == 2 or page.photometric in (5, 8)


def _by_opencv(data: bytes, header: Header) -> tuple[np.ndarray, list[str]]:
    import numpy as np

    if header.kind in ("JPEG", "MPO") and _is_truncated_jpeg(data):
        raise ValueError("the JPEG ends before its picture does")
    cv2 = opencv()
    buffer = np.frombuffer(pixels_alone(data), np.uint8)
    if header.kind in DEEP:
        deep = _deep(cv2, buffer, data, header)
        if deep is not None:
            return deep
    pixels = cv2.imdecode(buffer, cv2.IMREAD_COLOR_RGB)
    return _by_pillow(data) if pixels is None else (pixels, [])


def _deep(cv2: Any, buffer: np.ndarray, data: bytes, header: Header) -> tuple[np.ndarray, list[str]] | None:
    """The picture where it has an alpha channel or values beyond 8 bits, which a plain decode would drop."""
    import numpy as np

    try:
        raw = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if raw is None or (raw.dtype == np.uint8 and (raw.ndim < 3 or raw.shape[2] != 4)):
        return None
    if raw.ndim == 3 and raw.shape[2] >= 3:
        raw = raw[..., [2, 1, 0, 3][: raw.shape[2]]]
    page = header.page
    if page is not None and not page.has_alpha and raw.ndim == 3:
        raw = raw[..., :3]
    # OpenCV inverts a TIFF whose lowest value is white where it has 8 bits, and only there.
    pixels, notes = eight_bits(raw, white_is_zero=page is not None and page.photometric == WHITE_IS_ZERO)
    if page is None:  # OpenCV turns a TIFF in any case
        pixels = np.ascontiguousarray(rotated(pixels, _orientation(data)))
    return pixels, notes


def _orientation(data: bytes) -> int:
    if b"exif" not in data.lower():  # Pillow would decode a whole PNG to look behind it
        return 1
    with pillow_image(data) as image:
        return int(image.getexif().get(0x0112, 1))


def _is_truncated_jpeg(data: bytes) -> bool:
    """OpenCV fills what is missing with gray and says nothing; Pillow notices."""
    if data.rstrip(b"\x00").endswith(b"\xff\xd9"):
        return False
    try:
        with pillow_image(data) as image:
            image.load()
    except (OSError, SyntaxError):
        return True
    return False


def _by_pillow(data: bytes) -> tuple[np.ndarray, list[str]]:
    with pillow_image(data) as image:
        return upright_pixels(image)
