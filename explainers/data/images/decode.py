"""The bytes of an image file as pixels: OpenCV decodes, Pillow what OpenCV cannot.

Whichever does, the pixels are upright, on white where they were transparent, and of 8 bits a channel.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explainers.data.images.import_opencv import opencv
from explainers.data.images.png_chunks import pixels_alone
from explainers.errors import ImageError
from explainers.storage.atomic import shown

if TYPE_CHECKING:
    import numpy as np


def decoded(path: Path, data: bytes, kind: str) -> np.ndarray:
    """(H, W, 3) uint8 RGB of a file's bytes.

    Args:
        path: for errors; kind: Pillow's name of the format, such as "JPEG".

    Raises:
        ImageError: the file is damaged. DependencyError: OpenCV cannot be imported.
    """
    return _by_pillow(path, data) if kind == "HEIF" else _by_opencv(path, data, kind)


def upright_pixels(image: Any) -> np.ndarray:
    """(H, W, 3) uint8 RGB of a PIL image."""
    import numpy as np
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.float32)
        gray = values / (65535 if image.mode != "F" else max(float(values.max()), 1.0))
        return np.stack([np.round(gray.clip(0, 1) * 255).astype(np.uint8)] * 3, axis=2)
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.asarray(image.convert("RGB"))


def _by_opencv(path: Path, data: bytes, kind: str) -> np.ndarray:
    import numpy as np

    if kind in ("JPEG", "MPO") and _is_truncated_jpeg(data):
        raise ImageError(f"{shown(path)} is damaged: the JPEG ends before its picture does")
    cv2 = opencv()
    buffer = np.frombuffer(pixels_alone(data), np.uint8)
    pixels = None
    if kind in ("PNG", "WEBP", "TIFF", "GIF"):
        pixels = _with_alpha(cv2, buffer, data)
    if pixels is None:
        try:
            pixels = cv2.imdecode(buffer, cv2.IMREAD_COLOR_RGB)
        except cv2.error as error:
            raise ImageError(f"{shown(path)} is damaged: {str(error).strip().splitlines()[-1]}") from error
    return _by_pillow(path, data) if pixels is None else pixels


def _with_alpha(cv2: Any, buffer: np.ndarray, data: bytes) -> np.ndarray | None:
    """The picture on white where it has an alpha channel or float values, which a plain decode would drop."""
    import numpy as np

    try:
        raw = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if raw is None or (raw.dtype.kind != "f" and (raw.ndim < 3 or raw.shape[2] != 4)):
        return None
    scaled = _stretched(raw) if raw.dtype.kind == "f" else raw.astype(np.float32) / np.iinfo(raw.dtype).max
    if scaled.ndim == 2:
        scaled = np.stack([scaled] * 3, axis=2)
    if scaled.shape[2] == 4:
        scaled = scaled[..., :3] * scaled[..., 3:] + (1 - scaled[..., 3:])
    upright = _rotated(np.round(scaled[..., 2::-1] * 255).astype(np.uint8), _orientation(data))
    return np.ascontiguousarray(upright)


def _stretched(raw: np.ndarray) -> np.ndarray:
    """Float values as 0 … 1: as they are where they lie there, else from their lowest to their highest."""
    import numpy as np

    values = np.nan_to_num(raw.astype(np.float32), posinf=0, neginf=0)
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 1:
        return values
    return (values - low) / (high - low if high > low else 1)


def _rotated(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Apply an EXIF orientation, 1 … 8."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _orientation(data: bytes) -> int:
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        return int(image.getexif().get(0x0112, 1))


def _is_truncated_jpeg(data: bytes) -> bool:
    """OpenCV fills what is missing with gray and says nothing; Pillow notices."""
    from PIL import Image

    if data.rstrip(b"\x00").endswith(b"\xff\xd9"):
        return False
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
    except (OSError, SyntaxError):
        return True
    return False


def _by_pillow(path: Path, data: bytes) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            return upright_pixels(image)
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ImageError(f"{shown(path)} is damaged: {error}") from error
