"""Boxes as masks of pixels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from explainers.errors import TargetError


def box_masks(boxes: Tensor | Sequence[Sequence[float]], size: tuple[int, int]) -> Tensor:
    """(K, H, W) bool masks of boxes (K, 4), such as pointing game and energy take: the pixels whose centre is inside.

    Args:
        boxes: x0, y0, x1, y1 in pixels; size: (H, W) of the image.

    Raises:
        TargetError: a box holds the centre of no pixel.
    """
    given = torch.as_tensor(boxes, device=None if isinstance(boxes, Tensor) else "cpu").detach()
    if given.ndim != 2 or given.shape[1] != 4:
        raise TargetError(f"boxes are {tuple(given.shape)}; expected (K, 4) as x0, y0, x1, y1 in pixels")
    given = given.to(torch.float64)
    height, width = size
    y = torch.arange(height, dtype=torch.float64, device=given.device) + 0.5
    x = torch.arange(width, dtype=torch.float64, device=given.device) + 0.5
    x0, y0, x1, y1 = given.T[:, :, None]
    rows, columns = (y >= y0) & (y < y1), (x >= x0) & (x < x1)
    masks = rows[:, :, None] & columns[:, None, :]
    empty = (~masks.flatten(1).any(dim=1)).nonzero().flatten().tolist()
    if empty:
        raise TargetError(f"box {given[empty[0]].tolist()} holds no pixel of an image of {width}x{height}")
    return masks
