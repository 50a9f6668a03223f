"""Entries that a mask picks out of a tensor: one after the other, and back where they stood."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from explainers.network.axes.axis import OTHER, Axes, Dim, dim, unknown, whole
from explainers.network.axes.moves import Operands, Shape, shuffled


@dataclass(frozen=True)
class Picked(Dim):
    """A dimension of entries in the order of the tensor that they were picked from.

    origin: that tensor's dimensions; mask: bool, of its shape.
    """

    origin: Axes = ()
    mask: Tensor | None = field(default=None, compare=False, repr=False)


def picked(node: Any, operands: Operands, shape: Shape) -> Axes | None:
    """`x[mask]` and `masked_select`; other indices shuffle."""
    operand, mask = operands[0], _mask(node)
    if operand is None or mask is None or tuple(mask.shape) != tuple(each.size for each in operand):
        return shuffled(node, operands, shape)
    return (Picked((whole(OTHER, shape[0]),), origin=operand, mask=mask),)


def put_back(node: Any, operands: Operands, shape: Shape) -> Axes | None:
    """Entries written into something new by the mask that picked them stand where they stood, by another elsewhere.

    None where nothing, or not something new, is written into.
    """
    written = [each for each in operands[1:] if each is not None]
    if not operands or operands[0] is not None or not written:
        return None
    axes, mask = written[0], _mask(node)
    entries = axes[0] if axes else None
    if isinstance(entries, Picked) and mask is not None and entries.mask is not None:
        same = mask.shape == entries.mask.shape == torch.Size(shape) and torch.equal(mask, entries.mask)
        return entries.origin if same else tuple(dim(OTHER, size) for size in shape)
    return unknown(shape) if len(axes) == 1 < len(shape) else None


def _mask(node: Any) -> Tensor | None:
    """The mask that a node keeps, where it is one over all dimensions; under checkpointing it is gone."""
    try:
        mask = getattr(node, "_saved_mask", None)
        indices: tuple[Any, ...] = (mask,) if mask is not None else getattr(node, "_saved_indices", ())
    except RuntimeError:
        return None
    only = next(iter(indices), None) if len(indices) == 1 else None
    return only if isinstance(only, Tensor) and only.dtype == torch.bool else None
