"""Operations that move values about: reshaping, permuting, slicing, joining, shifting.

A rule takes the graph's node, its operands (None where nothing is known of one, as of weights) and the shape of its
result. Only sizes and dimensions that a node has kept are read, never tensors: under checkpointing those are gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from explainers.network.axes.axis import (
    FEW,
    MOST_MOVED,
    OTHER,
    UNKNOWN,
    Axes,
    Dim,
    bordered,
    dim,
    resized,
    together,
    unknown,
    viewed,
)  # fmt: skip

Operands = list[Axes | None]
Shape = tuple[int, ...]


def index_of(value: int, count: int) -> int:
    """A dimension as the graph keeps it, where -1 has become 2⁶⁴ - 1."""
    return (value - 2**64 if value >= 2**63 else value) % count


def signed(value: int) -> int:
    """A number that the graph keeps without its sign."""
    return value - 2**64 if value >= 2**63 else value


def rearranged(_: Any, operands: Operands, shape: Shape) -> Axes | None:
    """Reshaping."""
    return None if operands[0] is None else viewed(operands[0], shape)


def strided(node: Any, operands: Operands, shape: Shape) -> Axes | None:
    """A view of memory by strides, as an operation in place leaves behind: rearranged where it is contiguous."""
    operand = operands[0]
    if operand is None:
        return None
    expected: list[int] = []
    step = 1
    for size in reversed(shape):
        expected.insert(0, step)
        step *= size
    wanted = [stride for stride, size in zip(node._saved_stride, shape, strict=True) if size > 1]
    count = 1
    for each in operand:
        count *= each.size
    contiguous = [stride for stride, size in zip(expected, shape, strict=True) if size > 1]
    return viewed(operand, shape) if wanted == contiguous and count == step else unknown(shape)


def permuted(node: Any, operands: Operands, shape: Shape) -> Axes | None:
    """Every dimension where the node says."""
    operand = operands[0]
    return operand and tuple(operand[index_of(place, len(shape))] for place in node._saved_dims)


def transposed(node: Any, operands: Operands, shape: Shape) -> Axes | None:
    """Two dimensions exchanged."""
    if operands[0] is None:
        return None
    made = list(operands[0])
    saved = (node._saved_dim0, node._saved_dim1) if hasattr(node, "_saved_dim0") else (0, len(shape) - 1)
    first, second = (index_of(place, len(shape)) for place in saved)
    made[first], made[second] = made[second], made[first]
    return tuple(made)


def sliced(node: Any, operands: Operands, shape: Shape) -> Axes | None:
    """Channels, a border, every second row, tokens without their prefix; what cuts deeper is no longer the image."""
    operand = operands[0]
    if operand is None:
        return None
    place = index_of(node._saved_dim, len(shape))
    size = operand[place].size
    start, end, step = signed(node._saved_start), signed(node._saved_end), node._saved_step
    start = max(0, start + size if start < 0 else start)
    end = min(size, end + size if end < 0 else end)
    return (*operand[:place], _cut(operand[place], start, end, step, shape[place]), *operand[place + 1 :])


def _cut(before: Dim, start: int, end: int, step: int, size: int) -> Dim:
    if size == before.size or size == 1:
        return before if size > 1 else Dim()
    patches = before.size - before.before - before.after
    if (before.before or before.after) and step == 1:
        if start <= before.before and end >= before.before + patches:
            return replace(before, before=before.before - start, after=before.after - (before.size - end))
        return dim(OTHER, size)
    if len(before.parts) == 1 and not before.before and not before.after:
        return bordered(before, -start, end - before.size, size)
    margin = max(FEW, int(before.size * MOST_MOVED)) if before.positions else before.size
    far = start > margin or before.size - end > margin
    return dim(OTHER, size) if far else resized(before, size)


def split(node: Any, operands: Operands, shape: Shape) -> Axes | None:
    """Pieces along a dimension are no longer the whole of it."""
    operand = operands[0]
    if operand is None:
        return None
    place = index_of(node._saved_dim, len(shape))
    piece = operand[place] if operand[place].size == shape[place] else dim(OTHER, shape[place])
    return (*operand[:place], piece, *operand[place + 1 :])


def concatenated(node: Any, operands: Operands, shape: Shape) -> Axes | None:
    """Channels beside channels; or tokens with others before and behind them, which are counted."""
    known = [axes for axes in operands if axes is not None]
    if not known:
        return None
    place = index_of(node._saved_dim, len(shape))
    inside = [each[place] for each in known]
    with_positions = [axes for axes in known if axes[place].positions]
    bare = [(*axes[:place], Dim(), *axes[place + 1 :]) for axes in known]
    around = list(together(bare, (*shape[:place], 1, *shape[place + 1 :])))
    if len(with_positions) != 1:
        mixed = any(each.unknown for each in inside) and not with_positions
        around[place] = dim(UNKNOWN if mixed else OTHER, shape[place])
        return tuple(around)
    (tokens,) = with_positions
    where = next(index for index, axes in enumerate(operands) if axes is tokens)
    total = shape[place] - tokens[place].size
    # Of learned tokens the graph keeps no size: they stand all before or all behind.
    behind = sum(each[place].size for each in operands[where + 1 :] if each is not None)
    silent_behind = any(axes is None for axes in operands[where + 1 :])
    silent_before = any(axes is None for axes in operands[:where])
    before = sum(each[place].size for each in operands[:where] if each is not None)
    if silent_before and silent_behind:
        around[place] = dim(UNKNOWN, shape[place])
        return tuple(around)
    ahead = before if silent_behind or not silent_before else total - behind
    old = tokens[place]
    if len(shape) > 3 and len(old.parts) == 1 and not old.before and not old.after:  # a border, put beside an image
        around[place] = bordered(old, ahead, total - ahead, shape[place])
        return tuple(around)
    around[place] = replace(old, before=old.before + ahead, after=old.after + total - ahead)
    return tuple(around)


def stacked(node: Any, operands: Operands, shape: Shape) -> Axes | None:
    """Side by side along a new dimension, whose order nobody knows."""
    known = [axes for axes in operands if axes is not None]
    if not known:
        return None
    place = index_of(node._saved_dim, len(shape))
    around = together(known, shape[:place] + shape[place + 1 :])
    return (*around[:place], dim(UNKNOWN, shape[place]), *around[place:])


def flipped(node: Any, operands: Operands, shape: Shape) -> Axes | None:
    """Dimensions that run backwards; a second time makes them right again."""
    return _moved(node, operands[0], [0] * len(node._saved_dims))


def rolled(node: Any, operands: Operands, shape: Shape) -> Axes | None:
    """Dimensions that begin elsewhere; the way back makes them right again."""
    if not node._saved_dims:
        return operands[0] and tuple(dim(OTHER, size) for size in shape)
    return _moved(node, operands[0], [signed(shift) for shift in node._saved_shifts])


def _moved(node: Any, operand: Axes | None, shifts: Sequence[int]) -> Axes | None:
    if operand is None:
        return None
    made = list(operand)
    for place, shift in zip(node._saved_dims, shifts, strict=True):
        index = index_of(place, len(made))
        made[index] = _moved_dim(made[index], shift)
    return tuple(made)


def _moved_dim(before: Dim, shift: int) -> Dim:
    if not before.parts:
        return before
    part = before.parts[0]
    if len(before.parts) > 1 or before.before or before.after or part.size != part.whole:
        return dim(OTHER, before.size)
    if shift == 0:
        return Dim((replace(part, flipped=not part.flipped),))
    return Dim((replace(part, rolled=(part.rolled + shift) % part.whole),))


def padded(node: Any, operands: Operands, shape: Shape) -> Axes | None:
    """Borders around positions, and tokens before and behind tokens."""
    operand = operands[0]
    if operand is None:
        return None
    made = []
    for place, (each, size) in enumerate(zip(operand, shape, strict=True)):
        behind = len(shape) - 1 - place
        pad = node._saved_pad[2 * behind : 2 * behind + 2]
        tokens = len(each.positions) > 1 and len(pad) == 2
        if tokens and min(map(signed, pad)) >= 0:
            made.append(replace(each, before=each.before + pad[0], after=each.after + pad[1]))
        else:
            made.append(bordered(each, signed(pad[0]), signed(pad[1]), size) if pad else each)
    return tuple(made)


def framed(node: Any, operands: Operands, shape: Shape) -> Axes | None:
    """Borders of reflected or repeated positions."""
    operand = operands[0]
    if operand is None:
        return None
    made = list(operand)
    for behind in range(len(node._saved_padding) // 2):
        place = len(shape) - 1 - behind
        pad = node._saved_padding[2 * behind : 2 * behind + 2]
        made[place] = bordered(made[place], signed(pad[0]), signed(pad[1]), shape[place])
    return tuple(made)


def warped(_: Any, operands: Operands, shape: Shape) -> Axes | None:
    """Sampled at places that only tensors say: the grid of a spatial transformer is not the image's."""
    operand = operands[0]
    return operand and (*operand[:2], *(dim(OTHER, size) for size in shape[2:]))


def into_nothing(operands: Operands, shape: Shape) -> Axes | None:
    """Something new, into which a tensor is written at a place that the graph does not say."""
    known = [axes for axes in operands[1:] if axes is not None and len(axes) == len(shape)]
    return _placed(known[0], shape) if len(known) == 1 else None


def _placed(axes: Axes, shape: Shape) -> Axes:
    made = []
    for each, size in zip(axes, shape, strict=True):
        near = size - each.size <= 2 * max(FEW, int(each.size * MOST_MOVED))  # at both ends
        made.append(each if each.size == size else resized(each, size) if near else dim(OTHER, size))
    return tuple(made)


def selected(node: Any, operands: Operands, shape: Shape) -> Axes | None:
    """One entry of a dimension, which is gone."""
    operand = operands[0]
    if operand is None:
        return None
    place = index_of(node._saved_dim, len(operand))
    return operand[:place] + operand[place + 1 :]


def repeated(node: Any, operands: Operands, shape: Shape) -> Axes | None:
    """Copies beside each other are not positions."""
    operand = operands[0]
    if operand is None:
        return None
    ahead = len(shape) - len(operand)
    beside = [
        each if each.size == size else dim(OTHER, size) for each, size in zip(operand, shape[ahead:], strict=True)
    ]
    return (*(dim(OTHER, size) for size in shape[:ahead]), *beside)


def shuffled(node: Any, operands: Operands, shape: Shape) -> Axes | None:
    """Entries in an order that only tensors say, or turned by 90 degrees: those dimensions are none of the image's."""
    operand = operands[0]
    if operand is None:
        return None
    picked = _picked(node, len(operand))
    if picked is None or len(operand) != len(shape):
        return tuple(dim(OTHER, size) for size in shape)
    return tuple(
        dim(OTHER, size) if place in picked or each.size != size else each
        for place, (each, size) in enumerate(zip(operand, shape, strict=True))
    )


def _picked(node: Any, count: int) -> set[int] | None:
    if hasattr(node, "_saved_dim"):
        return {index_of(node._saved_dim, count)}
    if hasattr(node, "_saved_dims"):
        return {index_of(place, count) for place in node._saved_dims}
    try:
        indices = getattr(node, "_saved_indices", None)
    except RuntimeError:  # recomputed under a checkpoint
        return None
    return None if indices is None else {place for place, index in enumerate(indices) if index is not None}
