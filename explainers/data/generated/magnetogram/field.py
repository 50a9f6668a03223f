"""Fields on a grid: rendered from their sources, and the inversion line in them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

STRONG = 0.25  # |B| of the poles between which an inversion line counts; the network stays below


def limited_field(sources: Tensor, size: int, limit: float) -> Tensor:
    """(S, S), the field of (n, 4) sources, which a soft limit keeps within -limit … limit."""
    return limit * torch.tanh(_rendered(sources, size) / limit)


def _rendered(sources: Tensor, size: int) -> Tensor:
    """(S, S), the sum of round Gaussians as pixels see them: wider by the instrument's blur, of the same flux."""
    x, y, width, peak = sources.T[:, :, None]
    seen = width.square() + (0.5 / size) ** 2
    axis = (torch.arange(size) + 0.5) / size
    # Without a floor, far tails are denormal numbers, which make the product three times slower.
    down, across = (((axis - centre).square() / (-2 * seen)).clamp(min=-40).exp() for centre in (y, x))
    return (down * (peak * width.square() / seen)).T @ across


def inversion_line(field: Tensor) -> tuple[Tensor, float]:
    """Where strong fields of opposite polarity touch, and how strong that line is.

    A pixel is on the line when a field above 0.25 and one below -0.25 both lie within 1/48 of the image's width of it
    (a square). The strength is the integral of |∇B| over the line: about its length in image widths times the jump of
    B across it.

    Args:
        field: (S, S), noise-free.

    Returns:
        (S, S) bool and the strength, not negative. From 96 pixels on it does not depend on S but for the grid (within
        a tenth or so); smaller grids smear tight lines (0.6 of it at 64), so images are judged by their field at 96.

    Source: Schrijver 2007, with the gradient in place of the flux near the line.
    """
    size = field.shape[-1]
    reach = max(1, round(size / 48))
    line = dilated(field > STRONG, reach) & dilated(field < -STRONG, reach)
    down, across = torch.gradient(field)
    return line, float((down.square() + across.square()).sqrt()[line].sum()) / size


def dilated(mask: Tensor, reach: int) -> Tensor:
    """(S, S) bool, wider by `reach` pixels on each side (a square)."""
    return F.max_pool2d(mask[None].float(), 2 * reach + 1, stride=1, padding=reach)[0] > 0


def resized(mask: Tensor, size: int) -> Tensor:
    """(size, size) bool of a mask of another size."""
    if mask.shape[-1] == size:
        return mask
    smooth = F.interpolate(mask[None, None].float(), (size, size), mode="bilinear", antialias=True)[0, 0]
    return smooth > 0.4
