"""Which layout a layer's output has, and from any of them to (N, C, h, w)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

MAX_PREFIX = 16  # class, distillation and register tokens in front of the patches


@dataclass(frozen=True)
class Layout:
    """How the positions of an image lie in a layer's output.

    kind: "nchw", "nhwc" or "tokens" (N, prefix + h·w, C); grid: (h, w); channels: C.
    """

    kind: str
    grid: tuple[int, int]
    channels: int
    prefix: int = 0

    def spatial(self, value: Tensor) -> Tensor:
        """(N, C, h, w) view of a tensor with this layout."""
        if self.kind == "nchw":
            return value
        if self.kind == "nhwc":
            return value.permute(0, 3, 1, 2)
        patches = value[:, self.prefix :]
        return patches.transpose(1, 2).unflatten(2, self.grid)


def layout_of(shape: tuple[int, ...], image: tuple[int, int], grids: Iterable[tuple[int, int]] = ()) -> Layout | None:
    """The layout of an output of this shape for images of size (H, W), or None where there are no positions in it.

    Args:
        shape: of the layer's output, batch first.
        image: (H, W) of the network's input.
        grids: the (h, w) of layers that ran before; they say how tokens are arranged.
    """
    if len(shape) == 4:
        return _layout_4d(shape, image)
    if len(shape) == 3:
        return _layout_tokens(shape, image, grids)
    return None


def _layout_4d(shape: tuple[int, ...], image: tuple[int, int]) -> Layout | None:
    first = Layout("nchw", (shape[2], shape[3]), shape[1])
    last = Layout("nhwc", (shape[1], shape[2]), shape[3])
    # A wrong reading takes the channels for a side, so its aspect ratio is off; ties go to the usual layout.
    best = min((first, last), key=lambda layout: distortion(layout.grid, image))
    if not math.isfinite(distortion(best.grid, image)) or best.grid == (1, 1):
        return None
    return best


def distortion(grid: tuple[int, int], image: tuple[int, int]) -> float:
    """How far a grid is from a shrunken image: 0 where h/H and w/W agree within the rounding of one cell."""
    (h, w), (height, width) = grid, image
    if min(h, w) < 1 or h > height or w > width:
        return math.inf
    slack = math.log((h + 1) / h) + math.log((w + 1) / w)
    return max(0.0, abs(math.log(h * width / (w * height))) - slack)


def _layout_tokens(shape: tuple[int, ...], image: tuple[int, int], grids: Iterable[tuple[int, int]]) -> Layout | None:
    _, tokens, channels = shape
    fitting = [grid for grid in grids if 0 <= tokens - grid[0] * grid[1] <= MAX_PREFIX and grid != (1, 1)]
    if not fitting:
        fitting = [grid for prefix in range(MAX_PREFIX + 1) for grid in _same_aspect(tokens - prefix, image)]
    if not fitting:
        return None
    grid = max(fitting, key=lambda grid: grid[0] * grid[1])
    return Layout("tokens", grid, channels, tokens - grid[0] * grid[1])


def _same_aspect(positions: int, image: tuple[int, int]) -> list[tuple[int, int]]:
    """The grid of that many positions with exactly the image's aspect ratio, if there is one."""
    height, width = image
    common = math.gcd(height, width)
    unit = (height // common) * (width // common)
    if positions < 2 or positions % unit or math.isqrt(positions // unit) ** 2 != positions // unit:
        return []
    factor = math.isqrt(positions // unit)
    return [(factor * height // common, factor * width // common)]
