"""A region of an image on the cells of a coarser or finer output: how much of each cell it covers, exactly."""

from __future__ import annotations

import torch
from torch import Tensor


def mask_weights(mask: Tensor, grid: tuple[int, ...]) -> Tensor:
    """(h, w) float64: the share of each cell that lies inside a mask (H, W) bool."""
    height, width = mask.shape
    rows, columns = overlaps(height, grid[0]), overlaps(width, grid[1])
    return rows @ mask.double() @ columns.T


def box_weights(box: tuple[float, float, float, float], size: tuple[int, ...], grid: tuple[int, ...]) -> Tensor:
    """(h, w) float64: the share of each cell that lies in a box (x0, y0, x1, y1) of an image of size (H, W)."""
    x0, y0, x1, y1 = box
    return torch.outer(covered(y0, y1, size[0], grid[0]), covered(x0, x1, size[1], grid[1]))


def overlaps(pixels: int, cells: int) -> Tensor:
    """(cells, pixels) float64: which share of each cell each pixel is, where both divide one length evenly."""
    edges = torch.arange(pixels, dtype=torch.float64, device="cpu")
    starts = torch.arange(cells, dtype=torch.float64, device="cpu")[:, None] * (pixels / cells)
    ends = starts + pixels / cells
    shared = torch.minimum(ends, edges + 1) - torch.maximum(starts, edges)
    return shared.clamp(min=0) * (cells / pixels)


def covered(start: float, end: float, pixels: int, cells: int) -> Tensor:
    """(cells,) float64: the share of each cell that lies between two places, in pixels."""
    step = pixels / cells
    starts = torch.arange(cells, dtype=torch.float64, device="cpu") * step
    shared = (starts + step).clamp(max=end) - starts.clamp(min=start)
    return shared.clamp(min=0) / step
