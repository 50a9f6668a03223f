"""Heat maps on photos."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F

from explainers.errors import OptionError
from explainers.render.colour_bar import scale_of
from explainers.render.outline import outlined
from explainers.render.style import Style, coloured, limits_of

Box = tuple[float, float, float, float]
OUTSIDE = 0.35  # brightness of what the network did not see


def overlay(pixels: np.ndarray, map_: np.ndarray, *, box: Box | None = None, style: Style | None = None) -> np.ndarray:
    """A photo with a heat map on it.

    Args:
        pixels: (H, W, 3) uint8.
        map_: (h, w), any size; resized bilinearly to the box.
        box: (top, left, bottom, right) of the map in the photo's pixels, None for the whole photo. It may reach beyond
            the photo; the part of the photo outside is darkened, because the network did not see it.

    Returns:
        (H, W, 3) uint8.
    """
    style = style or Style()
    if map_.ndim != 2 or 0 in map_.shape:
        raise OptionError(f"expected a map of shape (H, W), got {map_.shape}")
    height, width = pixels.shape[:2]
    top, left, bottom, right = (round(edge) for edge in (box or (0, 0, height, width)))
    values = _resized(map_, (max(1, bottom - top), max(1, right - left)))
    rows, columns = slice(max(0, top), min(height, bottom)), slice(max(0, left), min(width, right))
    inside = values[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    # The scale is the whole map's, also where a part of it lies outside the photo.
    style = replace(style, limits=style.limits or limits_of(_finite(map_)))
    colour, cover = coloured(inside, style)
    result = (pixels * OUTSIDE).astype(np.uint8) if box is not None else pixels.copy()
    photo = pixels[rows, columns].astype(np.float32)
    blended = photo + cover[..., None] * (colour.astype(np.float32) - photo)
    result[rows, columns] = np.round(blended).astype(np.uint8)
    scale = None if style.outline is None else scale_of(map_, style)
    return result if scale is None else outlined(result, values >= scale.mark, box=box)


def heat_map(map_: np.ndarray, style: Style | None = None) -> np.ndarray:
    """(H, W, 3) uint8: the map's colours alone."""
    return coloured(map_, style or Style())[0]


def gradient_picture(values: np.ndarray, *, quantile: float = 0.995) -> np.ndarray:
    """The picture people expect of Guided Backprop: (C, H, W) values as colours around gray.

    Args:
        values: C = 3, or 1 for gray; signed.
        quantile: of the magnitudes that reaches full colour, so that single pixels do not set the scale.

    Returns:
        (H, W, 3) uint8; gray where there is nothing.
    """
    if values.ndim != 3 or values.shape[0] not in (1, 3):
        raise OptionError(f"expected values of shape (3, H, W) or (1, H, W), got {values.shape}")
    _finite(values)
    bound = float(np.quantile(np.abs(values), quantile)) or float(np.abs(values).max()) or 1.0
    picture = np.round((0.5 + 0.5 * np.clip(values / bound, -1, 1)) * 255).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(picture, (3, *picture.shape[1:])).transpose(1, 2, 0))


def _finite(values: np.ndarray) -> np.ndarray:
    if not np.isfinite(values).all():
        raise OptionError("the map has NaN or infinite values and cannot be drawn")
    return values


def _resized(map_: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if map_.shape == size:
        return map_
    values = torch.from_numpy(np.ascontiguousarray(map_, np.float32))[None, None]
    return F.interpolate(values, size=size, mode="bilinear", align_corners=False)[0, 0].numpy()
