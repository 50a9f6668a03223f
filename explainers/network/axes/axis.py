"""The dimensions of a tensor as parts of the image's axes, and how reshaping and resizing change them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

DEPTH, ROW, COLUMN, BATCH = "depth", "row", "column", "batch"
POSITIONS = (DEPTH, ROW, COLUMN)  # a signal has the last one, an image the last two
OTHER = "other"  # channels, heads, frequencies: known not to be positions of the image
UNKNOWN = "unknown"  # an operation came between of which it is not known what it moves
MOST_MOVED = 1 / 8  # of an axis: what is cut off or added beyond this at one end moves what is left
FEW = 2  # positions that may always be cut off or added


@dataclass(frozen=True)
class Part:
    """A regular part of one axis: `size` steps of `stride` out of `whole` positions.

    flipped, rolled: the positions run backwards, or begin so many steps later.
    ahead, behind: what a border has added before the first and behind the last position, as a share of the axis; below
    0 what was cut off.
    """

    axis: str
    size: int
    stride: int = 1
    whole: int = 0
    flipped: bool = False
    rolled: int = 0
    ahead: float = 0.0
    behind: float = 0.0

    @property
    def moved(self) -> bool:
        """Whether a position lies elsewhere than at its share of the axis."""
        far = max(abs(self.ahead), abs(self.behind)) > MOST_MOVED + 1e-6
        return self.flipped or self.rolled != 0 or far

    @property
    def covers(self) -> bool:
        """Whether it runs over the whole axis in the order of the image, in steps that may be coarse."""
        return self.axis in POSITIONS and not self.moved and self.size * self.stride == self.whole


def whole(axis: str, size: int) -> Part:
    """An axis in full."""
    return Part(axis, size, 1, size)


@dataclass(frozen=True)
class Dim:
    """One dimension: the axes joined in it, outermost first, and entries before and behind them (class tokens).

    A dimension of size 1 has no parts.
    """

    parts: tuple[Part, ...] = ()
    before: int = 0
    after: int = 0

    @property
    def size(self) -> int:
        """How many entries it has."""
        return math.prod(part.size for part in self.parts) + self.before + self.after

    @property
    def positions(self) -> tuple[str, ...]:
        """The axes of the image in it, ("row", "column") for flattened ones; empty if it holds anything else too."""
        return tuple(part.axis for part in self.parts) if all(part.covers for part in self.parts) else ()

    @property
    def batch(self) -> bool:
        """Whether it is the images of the batch."""
        return len(self.parts) == 1 and self.parts[0] == whole(BATCH, self.size)

    @property
    def unknown(self) -> bool:
        """Whether something in it may be anything."""
        return any(part.axis == UNKNOWN for part in self.parts)


Axes = tuple[Dim, ...]


def dim(axis: str, size: int) -> Dim:
    """A dimension that is one whole axis."""
    return Dim((whole(axis, size),)) if size > 1 else Dim()


def unknown(shape: Sequence[int]) -> Axes:
    """Of what may be anything."""
    return tuple(dim(UNKNOWN, size) for size in shape)


def image_axes(shape: Sequence[int]) -> Axes:
    """Of what is (N, C, h, w) by definition, or (N, C, w) or (N, C, d, h, w)."""
    return tuple(dim(axis, size) for axis, size in zip((BATCH, OTHER, *axes_of(len(shape) - 2)), shape, strict=True))


def axes_of(count: int) -> tuple[str, ...]:
    """The names of an input's axes by how many it has: one (a signal), two (an image) or three (a volume)."""
    return POSITIONS[-count:]


def viewed(axes: Axes, shape: Sequence[int]) -> Axes:
    """The same memory under another shape.

    Axes are split and joined where the new sizes allow; a dimension that cuts across them is no position any more.
    """
    if any(each.before or each.after for each in axes):
        return _beside_extras(axes, shape)
    parts = [part for each in axes for part in each.parts]
    made: list[Dim] = []
    for size in shape:
        taken: list[Part] = []
        missing = size
        while missing > 1 and parts:
            part = parts.pop(0)
            if missing % part.size == 0:
                taken.append(part)
                missing //= part.size
            elif part.size % missing == 0:
                rest = part.size // missing
                taken.append(replace(part, size=missing, stride=part.stride * rest))
                parts.insert(0, replace(part, size=rest))
                missing = 1
            else:
                return tuple([*made, *(dim(OTHER, left) for left in shape[len(made) :])])
        made.append(Dim(joined(taken)))
    return tuple(made)


def _beside_extras(axes: Axes, shape: Sequence[int]) -> Axes:
    """A dimension with class tokens stays whole: the ones before and behind it are reshaped among themselves."""
    index = next(index for index, each in enumerate(axes) if each.before or each.after)
    size, ahead = axes[index].size, math.prod(each.size for each in axes[:index])
    for place, wanted in enumerate(shape):
        if wanted == size and math.prod(shape[:place]) == ahead:
            front = viewed(axes[:index], shape[:place])
            return (*front, axes[index], *viewed(axes[index + 1 :], shape[place + 1 :]))
    return tuple(dim(OTHER, each) for each in shape)


def joined(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Neighbouring parts of one axis that fit together as one part again."""
    made: list[Part] = []
    for part in parts:
        last = made[-1] if made else None
        if last is not None and last.axis == part.axis in (OTHER, UNKNOWN):
            made[-1] = whole(part.axis, last.size * part.size)
        elif last is not None and _continues(last, part):
            made[-1] = replace(part, size=last.size * part.size)
        else:
            made.append(part)
    return tuple(made)


def _continues(outer: Part, inner: Part) -> bool:
    # Of an axis that runs backwards both halves do, so that joined again they are the same axis.
    same = replace(outer, size=inner.size, stride=inner.stride) == inner
    return same and outer.stride == inner.stride * inner.size


def resized(before: Dim, size: int) -> Dim:
    """A dimension that a window, a pooling or an interpolation brought to another size."""
    if before.size == size:
        return before
    if size == 1:
        return Dim()
    if len(before.parts) != 1 or before.before or before.after:
        return dim(OTHER, size) if not before.unknown else dim(UNKNOWN, size)
    part = before.parts[0]
    if part.rolled or part.size * part.stride != part.whole:
        return dim(OTHER, size)
    return Dim((replace(part, size=size, stride=1, whole=size),))


def bordered(before: Dim, ahead: float, behind: float, size: int) -> Dim:
    """A dimension with so many positions more before and behind the others, or fewer: now of this size.

    A few at a time are not counted; what is cut off again is as if it had never been there.
    """
    if size == 1 or len(before.parts) != 1 or before.before or before.after:
        return resized(before, size)
    part = before.parts[0]
    if part.axis not in POSITIONS or part.rolled or part.size * part.stride != part.whole:
        return resized(before, size)
    share = (1 + part.ahead + part.behind) / before.size
    added = (behind, ahead) if part.flipped else (ahead, behind)
    first = _end(part.ahead, added[0] * share, few=abs(added[0]) <= FEW)
    last = _end(part.behind, added[1] * share, few=abs(added[1]) <= FEW)
    return Dim((replace(part, size=size, stride=1, whole=size, ahead=first, behind=last),))


def _end(found: float, added: float, *, few: bool) -> float:
    """What one end has more than the axis, where this much comes to it."""
    if not few:
        both = found + added
    elif found * added < 0:  # back towards the axis
        both = math.copysign(max(0.0, abs(found) - abs(added)), found)
    else:
        both = found
    return both if abs(both) > 1e-9 else 0.0


def together(operands: Sequence[Axes], shape: Sequence[int]) -> Axes:
    """What works element by element on all of them: each knows something of the dimensions of the result."""
    made = []
    for index, size in enumerate(shape):
        places = [axes[place] for axes in operands if (place := index - len(shape) + len(axes)) >= 0]
        found = [each for each in places if each.size == size]
        made.append(_agreed(found, size) if size > 1 else Dim())
    return tuple(made)


def _agreed(found: Sequence[Dim], size: int) -> Dim:
    """One dimension seen from several operands: positions before channels, and two that contradict are neither."""
    kinds = {each.positions: each for each in reversed(found) if each.positions}
    if len(kinds) == 1:
        (only,) = kinds.values()
        moved = any(part.moved for each in found for part in each.parts)
        return only if not moved else dim(OTHER, size)
    if kinds:
        return dim(OTHER, size)
    if not found:
        return dim(UNKNOWN, size)
    known = [each for each in found if not each.unknown]
    same = all(each == known[0] for each in known)
    return (known[0] if same else dim(OTHER, size)) if known else found[0]
