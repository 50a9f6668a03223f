"""Photos as a page has them: JPEG, no larger than need be."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

QUALITY = 82


def as_jpeg(pixels: np.ndarray, side: int) -> bytes:
    """(H, W, 3) uint8 as JPEG, the longer side at most `side` pixels."""
    height, width = pixels.shape[:2]
    image = Image.fromarray(pixels)
    factor = side / max(height, width)
    if factor < 1:
        size = max(1, round(width * factor)), max(1, round(height * factor))
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return buffer.getvalue()
