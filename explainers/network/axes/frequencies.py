"""Fourier transforms: dimensions of the image become its frequencies, and the way back makes them positions again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from explainers.network.axes.axis import OTHER, POSITIONS, UNKNOWN, Axes, Dim, dim, whole
from explainers.network.axes.moves import Operands, Shape, index_of

MARK = " frequencies"  # behind the name of an axis


def frequencies(node: Any, operands: Operands, shape: Shape) -> Axes | None:
    """The dimensions that the node says, there or back."""
    operand = operands[0]
    if operand is None:
        return None
    back = type(node).__name__.startswith("FftC2R") or getattr(node, "_saved_forward", True) is False
    made = list(operand)
    for place in node._saved_dim:
        index = index_of(place, len(made))
        made[index] = _back(made[index], shape[index]) if back else _there(made[index], shape[index])
    return tuple(made)


def as_real(_: Any, operands: Operands, __: Shape) -> Axes | None:
    """Real and imaginary part, in a dimension of their own behind the others."""
    return operands[0] and (*operands[0], dim(OTHER, 2))


def as_complex(_: Any, operands: Operands, __: Shape) -> Axes | None:
    """The way back."""
    return operands[0] and operands[0][:-1]


def _there(before: Dim, size: int) -> Dim:
    if len(before.positions) == 1 and not before.before and not before.after:
        return Dim((replace(before.parts[0], axis=before.parts[0].axis + MARK, size=size, stride=1, whole=size),))
    return dim(UNKNOWN if before.unknown else OTHER, size)


def _back(before: Dim, size: int) -> Dim:
    part = before.parts[0] if len(before.parts) == 1 else whole(OTHER, 1)
    axis = part.axis.removesuffix(MARK)
    if axis in POSITIONS and part.axis != axis and not part.rolled and not part.flipped:
        return Dim((replace(part, axis=axis, size=size, stride=1, whole=size),))
    return dim(UNKNOWN, size)
