"""How often each level occurs in a map, and where Otsu parts the levels."""

from __future__ import annotations

import torch
from torch import Tensor


def histogram(bins: Tensor, count: int) -> Tensor:
    """(N, count) float64: how often each bin occurs in a row of (N, n)."""
    rows = torch.arange(len(bins), device=bins.device)[:, None] * count
    return torch.bincount((rows + bins).flatten(), minlength=len(bins) * count).view(-1, count).double()


def otsu_level(counts: Tensor) -> Tensor:
    """(N,): the last bin of the background, of histograms (N, bins); 0 where all is in one bin.

    Source: Otsu 1979, eq. 18; of equally good thresholds the lowest.
    """
    levels = torch.arange(counts.shape[1], device=counts.device, dtype=counts.dtype)
    background, mass = counts.cumsum(dim=1), (counts * levels).cumsum(dim=1)
    pixels, total = background[:, -1:], mass[:, -1:]
    between = (total * background - mass * pixels) ** 2 / (background * (pixels - background)).clamp(min=1)
    return between[:, :-1].argmax(dim=1)
