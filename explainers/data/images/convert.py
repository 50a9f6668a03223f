"""An image as a caller has it in hand, a path, a PIL image or an array, as pixels."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explainers.data.images.decode import upright_pixels
from explainers.data.images.formats.bands import picture_of
from explainers.data.images.read import NOT_OF_BANDS, Photo, read_image
from explainers.errors import ImageError
from explainers.storage.paths import shown

if TYPE_CHECKING:
    import numpy as np


def as_photo(
    image: Any, *, picture: Sequence[int] | None = None, white: float | None = None, values: bool = False
) -> Photo:
    """A path, a PIL image or an array as a photo.

    Args:
        image: as for `as_pixels`; where bands are asked for, also an array (H, W, bands) of any numbers.
        picture, white, values: as for `read_image`.

    Warns:
        UserWarning: what was assumed of the image: bits unused, first of several frames, transparency on white, bands.

    Raises:
        ImageError: anything else.
    """
    import numpy as np

    if isinstance(image, (str, PathLike)):
        photo = read_image(image, picture=picture, white=white, values=values)
        return _said(photo, shown(image))
    if isinstance(image, np.ndarray) and image.ndim == 3 and (values or picture or white) and 0 not in image.shape:
        if image.dtype.kind not in "uif" or not np.isfinite(image).all():
            raise ImageError(f"expected an array (H, W, bands) of finite numbers, got {image.dtype}")
        pixels, told = picture_of(Path("the array"), image, picture, white)
        return _said(Photo(pixels, (told,), image if values else None), "the array")
    if values:
        raise ImageError(
            f"the network takes bands: expected a TIFF file or an array (H, W, bands), got {type(image).__name__}"
        )
    if hasattr(image, "getexif"):
        pixels, notes = upright_pixels(image)
        if picture or white is not None:
            notes = [*notes, NOT_OF_BANDS]
        return _said(Photo(pixels, tuple(notes)), "the PIL image")
    return Photo(_pixels_of(image))


def as_pixels(image: Any) -> np.ndarray:
    """(H, W, 3) uint8 RGB of a path, a PIL image or an array (H, W), (H, W, 1), (H, W, 3), uint8 or float 0 … 1.

    Warns:
        UserWarning: what was assumed of the image.

    Raises:
        ImageError: anything else.
    """
    return as_photo(image).pixels


def _pixels_of(image: Any) -> np.ndarray:
    """Of an array."""
    import numpy as np

    if not isinstance(image, np.ndarray):
        raise ImageError(f"expected a path, a PIL image, an array or a tensor, got {type(image).__name__}")
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.ndim == 2:
        image = np.stack([image] * 3, axis=2)
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ImageError(f"expected an array of shape (H, W, 3) or (H, W), got {image.shape}; pass a photo")
    if image.dtype == np.uint8:
        return np.ascontiguousarray(image)
    if not np.issubdtype(image.dtype, np.floating):
        raise ImageError(f"expected an array of uint8, or of floats in 0 … 1, got {image.dtype}")
    if not np.isfinite(image).all() or image.min() < 0 or image.max() > 1:
        raise ImageError(
            f"a float array must lie in 0 … 1, got {image.min():.3g} … {image.max():.3g}; divide it by 255?"
        )
    return np.round(image * 255).astype(np.uint8)


def _said(photo: Photo, what: str) -> Photo:
    if photo.notes:
        warnings.warn(f"{what}: {'; '.join(photo.notes)}", stacklevel=4)
    return photo
