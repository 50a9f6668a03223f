"""Pixels counted by their value: what one pass over a map says of all thresholds at once."""

from __future__ import annotations

from torch import Tensor

from explainers.core.histogram import histogram


def inside_and_outside(bins: Tensor, masks: Tensor, count: int) -> Tensor:
    """(N, 2, count): the histograms of the bins (N, *axes) of the mask's pixels and of the others."""
    return histogram((bins + count * ~masks).flatten(1), 2 * count).view(-1, 2, count)


def from_the_top(counts: Tensor) -> Tensor:
    """Each bin's count and those of all bins above it."""
    return counts.flip(-1).cumsum(dim=-1).flip(-1)
