"""The edge of a region on a picture."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

Box = tuple[float, float, float, float]
LINE, RIM = (255, 255, 255), (0, 0, 0)  # white on black, which is seen on any photo and any colour map
THICKNESS = 200  # pixels of the shorter side for one pixel of the line


def outlined(picture: np.ndarray, region: np.ndarray, *, box: Box | None = None) -> np.ndarray:
    """A picture with a line around a region.

    Args:
        picture: (H, W, 3) uint8; region: (h, w) bool, any size; box: (top, left, bottom, right) of the region's field
            in the picture, None for the whole picture. It may reach beyond it.

    Returns:
        (H, W, 3) uint8, a copy. The line lies inside the region, so that one up to the edge of the picture is closed.
    """
    height, width = picture.shape[:2]
    top, left, bottom, right = (round(edge) for edge in (box or (0, 0, height, width)))
    size = max(1, bottom - top), max(1, right - left)
    field = torch.from_numpy(np.ascontiguousarray(region, np.float32))[None, None]
    scaled = F.interpolate(field, size=size, mode="nearest-exact")[0, 0] > 0
    rows, columns = slice(max(0, top), min(height, bottom)), slice(max(0, left), min(width, right))
    inside = torch.zeros(height, width, dtype=torch.bool, device="cpu")
    inside[rows, columns] = scaled[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    line = max(1, round(min(height, width) / THICKNESS))
    result = picture.copy()
    result[(inside & ~_shrunk(inside, 2 * line)).numpy()] = RIM
    result[(inside & ~_shrunk(inside, line)).numpy()] = LINE
    return result


def _shrunk(inside: torch.Tensor, pixels: int) -> torch.Tensor:
    """Without the pixels at its edge; beyond the picture is outside."""
    outside = F.pad((~inside).float()[None, None], (pixels,) * 4, value=1.0)
    return F.max_pool2d(outside, 2 * pixels + 1, stride=1)[0, 0] < 0.5
