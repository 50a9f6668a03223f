"""An image as a caller has it in hand, a path, a PIL image or an array, as pixels."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

from explainers.data.images.decode import upright_pixels
from explainers.data.images.read import read_image
from explainers.errors import ImageError
from explainers.storage.paths import shown

if TYPE_CHECKING:
    import numpy as np


def as_pixels(image: Any) -> np.ndarray:
    """(H, W, 3) uint8 RGB of a path, a PIL image or an array (H, W), (H, W, 1), (H, W, 3), uint8 or float 0 … 1.

    Warns:
        UserWarning: what was assumed of the image: bits unused, first of several frames, transparency on white.

    Raises:
        ImageError: anything else.
    """
    import numpy as np

    if isinstance(image, (str, PathLike)):
        photo = read_image(image)
        return _said(photo.pixels, photo.notes, shown(image))
    if hasattr(image, "getexif"):
        return _said(*upright_pixels(image), "the PIL image")
    if not isinstance(image, np.ndarray):
        raise ImageError(f"expected a path, a PIL image, an array or a tensor, got {type(image).__name__}")
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.ndim == 2:
        image = np.stack([image] * 3, axis=2)
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ImageError(f"expected an array of shape (H, W, 3) or (H, W), got {image.shape}")
    if image.dtype == np.uint8:
        return np.ascontiguousarray(image)
    if not np.issubdtype(image.dtype, np.floating):
        raise ImageError(f"expected an array of uint8, or of floats in 0 … 1, got {image.dtype}")
    if not np.isfinite(image).all() or image.min() < 0 or image.max() > 1:
        raise ImageError(
            f"a float array must lie in 0 … 1, got {image.min():.3g} … {image.max():.3g}; divide it by 255?"
        )
    return np.round(image * 255).astype(np.uint8)


def _said(pixels: np.ndarray, notes: Sequence[str], what: str) -> np.ndarray:
    if notes:
        warnings.warn(f"{what}: {'; '.join(notes)}", stacklevel=3)
    return pixels
