"""Which layout a layer's output has, and from any of them to (N, C, h, w)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from explainers.network.axes.axis import COLUMN, ROW, Axes, Dim

MAX_PREFIX = 16  # class, distillation and register tokens in front of the patches


@dataclass(frozen=True)
class Layout:
    """How the positions of an image lie in a layer's output.

    kind: the order of its dimensions, "nchw", "nhwc" or any other; "tokens" (N, prefix + h·w, C) or "nct" (N, C, prefix
    + h·w); grid: (h, w); channels: C; turned: tokens go down the columns, so that they are (w, h).
    told: known from the operations that made the output, rather than guessed from its shape; tied: the guess could as
    well be another.
    """

    kind: str
    grid: tuple[int, int]
    channels: int
    prefix: int = 0
    turned: bool = False
    told: bool = False
    tied: bool = False

    @property
    def sequence(self) -> bool:
        """Whether the positions lie in one dimension."""
        return self.kind in ("tokens", "nct")

    def patches(self, value: Tensor) -> Tensor:
        """The tokens that are positions, without those before and behind them."""
        return value.narrow(1 if self.kind == "tokens" else 2, self.prefix, self.grid[0] * self.grid[1])

    def spatial(self, value: Tensor) -> Tensor:
        """(N, C, h, w) view of a tensor with this layout."""
        if self.kind == "nchw":
            return value
        if not self.sequence:
            return value.permute(*(self.kind.index(axis) for axis in "nchw"))
        patches = self.patches(value)
        patches = patches.transpose(1, 2) if self.kind == "tokens" else patches
        return patches.unflatten(2, self.grid[::-1]).mT if self.turned else patches.unflatten(2, self.grid)


def layout_told(axes: Axes) -> Layout | None:
    """The layout of an output whose dimensions are known, or None where no dimension stands for positions.

    Of the columns of an image alone (a sequence that reads from left to right) the grid is (1, w).
    """
    if len(axes) == 4 and _is_batch(axes[0]):
        return _told_4d(axes)
    if len(axes) == 3 and _is_batch(axes[0]):
        return _told_sequence(axes)
    return None


def _is_batch(first: Dim) -> bool:
    return first.size == 1 or first.batch


def _told_4d(axes: Axes) -> Layout | None:
    places = {each.positions[0]: place for place, each in enumerate(axes) if len(each.positions) == 1}
    if sum(len(each.positions) for each in axes) != len(places) or not places:
        return None  # of which one is flattened, or two run along the same axis
    # A side of a single position has left no trace: any dimension of size 1 will do, in the usual order.
    single = [place for place in (2, 3, 1) if axes[place].size == 1 and place not in places.values()]
    for axis in (ROW, COLUMN):
        if axis not in places:
            if not single:
                return None
            places[axis] = single.pop(0)
    order = ["n", "c", "c", "c"]
    order[places[ROW]], order[places[COLUMN]] = "h", "w"
    channels = axes[order.index("c")].size
    return Layout("".join(order), (axes[places[ROW]].size, axes[places[COLUMN]].size), channels, told=True)


def _told_sequence(axes: Axes) -> Layout | None:
    first, second = axes[1].positions, axes[2].positions
    if bool(first) == bool(second):
        return None
    place = 1 if first else 2
    tokens = axes[place]
    sizes = {part.axis: part.size for part in tokens.parts}
    if len(sizes) != len(tokens.parts):
        return None
    return Layout(
        "tokens" if first else "nct",
        (sizes.get(ROW, 1), sizes.get(COLUMN, 1)),
        axes[3 - place].size,
        tokens.before,
        turned=tokens.positions == (COLUMN, ROW),
        told=True,
    )


def layout_of(
    shape: tuple[int, ...],
    image: tuple[int, int],
    grids: Iterable[tuple[int, int]] = (),
    axes: Axes | None = None,
) -> Layout | None:
    """The layout of an output of this shape for images of size (H, W), or None where there are no positions in it.

    A guess, for where nothing is known of the operations that made the output.

    Args:
        shape: of the layer's output, batch first.
        image: (H, W) of the network's input.
        grids: the (h, w) of layers that ran before; they say how tokens are arranged.
        axes: what is known of its dimensions all the same.
    """
    if len(shape) == 4:
        return _layout_4d(shape, image, axes)
    if len(shape) == 3 and axes is None:
        return _layout_tokens(shape, image, list(grids))
    return None


def _layout_4d(shape: tuple[int, ...], image: tuple[int, int], axes: Axes | None) -> Layout | None:
    readings = [Layout("nchw", (shape[2], shape[3]), shape[1]), Layout("nhwc", (shape[1], shape[2]), shape[3])]
    if axes is not None:
        readings = [each for each in readings if _possible(each, axes)]
    # A wrong reading takes the channels for a side, so its aspect ratio is off.
    readings = [each for each in readings if math.isfinite(distortion(each.grid, image))]
    readings.sort(key=lambda each: distortion(each.grid, image))
    if not readings or readings[0].grid == (1, 1):
        return None
    best = readings[0]
    return replace(best, tied=len(readings) > 1 and distortion(readings[1].grid, image) == distortion(best.grid, image))


def _possible(reading: Layout, axes: Axes) -> bool:
    wanted = {"h": (ROW,), "w": (COLUMN,)}
    for axis, each in zip(reading.kind, axes, strict=True):
        position = axis in wanted
        if position and each.size > 1 and not each.unknown and each.positions != wanted[axis]:
            return False
        if axis == "c" and each.positions:
            return False
    return True


def distortion(grid: tuple[int, int], image: tuple[int, int]) -> float:
    """How far a grid is from a shrunken image: 0 where h/H and w/W agree within the rounding of one cell."""
    (h, w), (height, width) = grid, image
    if min(h, w) < 1 or h > height or w > width:
        return math.inf
    slack = math.log((h + 1) / h) + math.log((w + 1) / w)
    return max(0.0, abs(math.log(h * width / (w * height))) - slack)


def _layout_tokens(shape: tuple[int, ...], image: tuple[int, int], grids: Sequence[tuple[int, int]]) -> Layout | None:
    _, tokens, channels = shape
    fitting = [grid for grid in grids if 0 <= tokens - grid[0] * grid[1] <= MAX_PREFIX and grid != (1, 1)]
    if not fitting and not grids:  # else they are arranged in some other way than the layers before
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
