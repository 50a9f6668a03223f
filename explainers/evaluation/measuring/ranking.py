"""In which order the pixels of an image count, by a heat map: one ranking serves every metric."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Order:
    """Pixels in the order in which they change.

    pixels: (n,) int64 indices into the flattened image, the most important first; ends: how many of them have changed
    after each step, from 0 to n (None: one pixel a step).
    """

    pixels: Tensor
    ends: tuple[int, ...] | None = None

    @property
    def steps(self) -> int:
        """How many steps lead from the first image to the last."""
        return len(self.pixels) if self.ends is None else len(self.ends) - 1

    def count(self, step: int) -> int:
        """Pixels changed after so many steps."""
        return step if self.ends is None else self.ends[step]


def ranked(values: Tensor) -> Tensor:
    """Indices (N, n) of values (N, n), the largest first; equal ones in the order of their position."""
    # -0.0 and 0.0 are one value, but a radix sort tells them apart.
    return torch.sort(values + 0.0, dim=1, descending=True, stable=True).indices


def pixel_orders(maps: Tensor) -> list[Order]:
    """The pixels of each map (N, *axes), one a step."""
    return [Order(pixels) for pixels in ranked(maps.flatten(1))]


def patch_orders(maps: Tensor, patch: int) -> list[Order]:
    """The pixels of each map (N, *axes), a patch of `patch` × `patch` a step, by the largest value in it.

    A last row or column that is narrower makes patches of its own. A volume has cubes for patches, a signal intervals.

    Source: the LABN study's PID.
    """
    sides = tuple(maps.shape[1:])
    size = tuple(min(patch, side) for side in sides)
    pooled = POOLED[len(sides)](maps[:, None], size, stride=size, ceil_mode=True)[:, 0]
    members, first, sizes = _patches(sides, patch)
    members, first, sizes = (each.to(maps.device) for each in (members, first, sizes))
    orders = []
    for patches in ranked(pooled.flatten(1)):
        count = sizes[patches]
        ends = count.cumsum(0)
        # Position in `members` of each pixel: where its patch begins there, and how far inside the patch it is.
        offset = (first[patches] - (ends - count)).repeat_interleave(count)
        pixels = members[offset + torch.arange(math.prod(sides), device=maps.device)]
        orders.append(Order(pixels, (0, *ends.tolist())))
    return orders


POOLED = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


@lru_cache(maxsize=32)
def _patches(sides: tuple[int, ...], patch: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels patch by patch; where each patch begins among them; how many it has."""
    numbers = torch.zeros(1, dtype=torch.int64, device="cpu")
    for side in sides:
        numbers = numbers[..., None] * -(-side // patch) + torch.arange(side, device="cpu") // patch
    patches = numbers.flatten()
    sizes = patches.bincount()
    return patches.argsort(stable=True), sizes.cumsum(0) - sizes, sizes
