"""Which layout a layer's output has, and from any of them to (N, C, h, w).

Of a signal (N, C, w) and of a volume (N, C, d, h, w) likewise: a grid has as many sides as the input has axes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from explainers.network.axes.axis import COLUMN, ROW, Axes, Dim, axes_of

MAX_PREFIX = 16  # class, distillation and register tokens in front of the patches
LETTERS = "dhw"  # of a layout's kind, for depth, row and column
Grid = tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """How the positions of an image lie in a layer's output.

    kind: the order of its dimensions, "nchw", "nhwc" or any other, "ncw" and "ncdhw" likewise; "tokens" (N, prefix +
    h·w, C) or "nct" (N, C, prefix + h·w); grid: (h, w); channels: C; turned: tokens go down the columns, so that they
    are (w, h).
    told: known from the operations that made the output, rather than guessed from its shape; tied: the guess could as
    well be another.
    """

    kind: str
    grid: Grid
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
        return value.narrow(1 if self.kind == "tokens" else 2, self.prefix, math.prod(self.grid))

    def spatial(self, value: Tensor) -> Tensor:
        """(N, C, h, w) view of a tensor with this layout."""
        if not self.sequence:
            usual = "nc" + LETTERS[-len(self.grid) :]
            return value if self.kind == usual else value.permute(*(self.kind.index(axis) for axis in usual))
        patches = self.patches(value)
        patches = patches.transpose(1, 2) if self.kind == "tokens" else patches
        return patches.unflatten(2, self.grid[::-1]).mT if self.turned else patches.unflatten(2, self.grid)


def layout_told(axes: Axes, count: int = 2) -> Layout | None:
    """The layout of an output whose dimensions are known, or None where no dimension stands for positions.

    Of the columns of an image alone (a sequence that reads from left to right) the grid is (1, w).

    Args:
        count: how many axes the network's input has.
    """
    if not axes or not _is_batch(axes[0]):
        return None
    told = _told_apart(axes, axes_of(count)) if len(axes) == count + 2 else None
    return _told_sequence(axes, axes_of(count)) if told is None and len(axes) == 3 else told


def _is_batch(first: Dim) -> bool:
    return first.size == 1 or first.batch


def _told_apart(axes: Axes, names: Sequence[str]) -> Layout | None:
    """Each axis in a dimension of its own, without class tokens. Of a signal that is its length behind the channels."""
    if any(each.before or each.after for each in axes):
        return None
    places = {each.positions[0]: place for place, each in enumerate(axes) if len(each.positions) == 1}
    if sum(len(each.positions) for each in axes) != len(places) or not places:
        return None  # of which one is flattened, or two run along the same axis
    # A side of a single position has left no trace: any dimension of size 1 will do, in the usual order.
    behind = (*range(2, len(axes)), 1)
    single = [place for place in behind if axes[place].size == 1 and place not in places.values()]
    for axis in names:
        if axis not in places:
            if not single:
                return None
            places[axis] = single.pop(0)
    order = ["n", *"c" * (len(axes) - 1)]
    for axis, letter in zip(names, LETTERS[-len(names) :], strict=True):
        order[places[axis]] = letter
    channels = axes[order.index("c")].size
    kind = "".join(order)
    if len(names) == 1 and kind != "ncw":
        return None  # the words of a sequence
    return Layout(kind, tuple(axes[places[axis]].size for axis in names), channels, told=True)


def _told_sequence(axes: Axes, names: Sequence[str]) -> Layout | None:
    first, second = axes[1].positions, axes[2].positions
    if bool(first) == bool(second):
        return None
    place = 1 if first else 2
    tokens = axes[place]
    sizes = {part.axis: part.size for part in tokens.parts}
    turned = tokens.positions == (COLUMN, ROW)
    in_order = tokens.positions == tuple(axis for axis in names if axis in sizes)
    if len(sizes) != len(tokens.parts) or not (in_order or (turned and len(names) == 2)):
        return None
    return Layout(
        "tokens" if first else "nct",
        tuple(sizes.get(axis, 1) for axis in names),
        axes[3 - place].size,
        tokens.before,
        turned=turned,
        told=True,
    )


def layout_of(
    shape: tuple[int, ...],
    image: Grid,
    grids: Iterable[Grid] = (),
    axes: Axes | None = None,
) -> Layout | None:
    """The layout of an output of this shape for images of size (H, W), or None where there are no positions in it.

    A signal has one axis, whose length agrees with any shape, so that nothing is guessed of it.

    A guess, for where nothing is known of the operations that made the output.

    Args:
        shape: of the layer's output, batch first.
        image: (H, W) of the network's input.
        grids: the (h, w) of layers that ran before; they say how tokens are arranged.
        axes: what is known of its dimensions all the same.
    """
    if len(image) == 1:
        return None
    if len(shape) == len(image) + 2:
        return _layout_apart(shape, image, axes)
    if len(shape) == 3 and axes is None:
        return _layout_tokens(shape, image, list(grids))
    return None


def _layout_apart(shape: tuple[int, ...], image: Grid, axes: Axes | None) -> Layout | None:
    letters = LETTERS[-len(image) :]
    readings = [Layout(f"nc{letters}", shape[2:], shape[1]), Layout(f"n{letters}c", shape[1:-1], shape[-1])]
    if axes is not None:
        readings = [each for each in readings if _possible(each, axes)]
    # A wrong reading takes the channels for a side, so its aspect ratio is off.
    readings = [each for each in readings if math.isfinite(distortion(each.grid, image))]
    readings.sort(key=lambda each: distortion(each.grid, image))
    if not readings or max(readings[0].grid) == 1:
        return None
    best = readings[0]
    return replace(best, tied=len(readings) > 1 and distortion(readings[1].grid, image) == distortion(best.grid, image))


def _possible(reading: Layout, axes: Axes) -> bool:
    wanted = dict(zip(LETTERS, ((axis,) for axis in axes_of(len(LETTERS))), strict=True))
    for axis, each in zip(reading.kind, axes, strict=True):
        position = axis in wanted
        if position and each.size > 1 and not each.unknown and each.positions != wanted[axis]:
            return False
        if axis == "c" and each.positions:
            return False
    return True


def distortion(grid: Grid, image: Grid) -> float:
    """How far a grid is from a shrunken image: 0 where h/H and w/W agree within the rounding of one cell."""
    sides = list(zip(grid, image, strict=True))
    if any(side < 1 or side > length for side, length in sides):
        return math.inf
    pairs = ((first, second) for number, first in enumerate(sides) for second in sides[number + 1 :])
    return max((_disagreement(*first, *second) for first, second in pairs), default=0.0)


def _disagreement(h: int, height: int, w: int, width: int) -> float:
    slack = math.log((h + 1) / h) + math.log((w + 1) / w)
    return max(0.0, abs(math.log(h * width / (w * height))) - slack)


def _layout_tokens(shape: tuple[int, ...], image: Grid, grids: Sequence[Grid]) -> Layout | None:
    _, tokens, channels = shape
    fitting = [grid for grid in grids if 0 <= tokens - math.prod(grid) <= MAX_PREFIX and max(grid) > 1]
    if not fitting and not grids:  # else they are arranged in some other way than the layers before
        fitting = [grid for prefix in range(MAX_PREFIX + 1) for grid in _same_aspect(tokens - prefix, image)]
    if not fitting:
        return None
    grid = max(fitting, key=math.prod)
    return Layout("tokens", grid, channels, tokens - math.prod(grid))


def _same_aspect(positions: int, image: Grid) -> list[Grid]:
    """The grid of that many positions with exactly the image's aspect ratio, if there is one."""
    common = math.gcd(*image)
    sides = [side // common for side in image]
    unit = math.prod(sides)
    factor = round((positions / unit) ** (1 / len(image)))
    if positions < 2 or factor ** len(image) * unit != positions:
        return []
    return [tuple(factor * side for side in sides)]
