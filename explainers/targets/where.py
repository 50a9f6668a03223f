"""Where in an input a region lies: as a user says it, in words, and on the cells of an output, coarser or finer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from explainers.errors import TargetError, counted

PREDICTED = "predicted"  # where the network predicts the class
NAMES = {1: "signal", 2: "image", 3: "volume"}  # of an input by its axes
EXPECTED = (
    f'"{PREDICTED}", None for all positions, a bool mask of the input\'s axes, a box (x0, y0, x1, y1) or pixel (x, y) '
    "of an image, (start, stop) of each axis, or a voxel (a, b, c) or sample (t,)"
)
Spans = tuple[tuple[float, float], ...]


def checked_where(where: Any) -> Any:
    """A region as Region keeps it: None, "predicted", a mask on the CPU, plain numbers, or pairs of them.

    Raises:
        TargetError: it is none of these, or nothing is inside.
    """
    if where is None or (isinstance(where, str) and where == PREDICTED):
        return where
    if not isinstance(where, (str, Tensor, list, tuple)) and hasattr(where, "__array__"):
        where = torch.as_tensor(where, device="cpu")
    if isinstance(where, Tensor) and (where.ndim in (2, 3) or where.dtype == torch.bool):
        return _checked_mask(where)
    numbers = where.tolist() if isinstance(where, Tensor) else where
    if isinstance(numbers, (list, tuple)) and 0 < len(numbers) <= 4:
        if all(map(_is_number, numbers)):
            return _checked_numbers(tuple(numbers))
        if len(numbers) < 4 and all(map(_is_pair, numbers)):
            return _checked_pairs(tuple(tuple(each) for each in numbers))
    raise TargetError(f"Region: where={where!r}; expected {EXPECTED}")


def _checked_mask(mask: Tensor) -> Tensor:
    if mask.dtype != torch.bool:
        raise TargetError(f"Region: the mask is {mask.dtype}; expected bool, such as mask > 0")
    if mask.ndim not in NAMES:
        raise TargetError(
            f"Region: the mask is {tuple(mask.shape)}; expected (L,), (H, W) or (D, H, W), a mask for each image"
        )
    if not bool(mask.any()):
        raise TargetError("Region: the mask is empty")
    return mask.detach().cpu().clone()


def _checked_numbers(numbers: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(numbers) < 4 and not all(float(each).is_integer() for each in numbers):
        raise TargetError(f"Region: {_place_name(len(numbers))} {numbers}; expected whole numbers")
    if len(numbers) == 4 and not (numbers[0] < numbers[2] and numbers[1] < numbers[3]):
        raise TargetError(f"Region: box {numbers} is empty; expected (x0, y0, x1, y1) with x0 < x1, y0 < y1")
    return numbers


def _checked_pairs(pairs: tuple[tuple[Any, ...], ...]) -> tuple[tuple[Any, ...], ...]:
    if not all(start < stop for start, stop in pairs):
        raise TargetError(f"Region: box {pairs} is empty; expected (start, stop) of each axis with start < stop")
    return pairs


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_pair(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and all(map(_is_number, value))


def _place_name(count: int) -> str:
    return {1: "sample", 2: "pixel", 3: "voxel"}[count]


def where_label(where: Any) -> str:
    """As tables say it, behind the name of the class."""
    if where is None:
        return "everywhere"
    if isinstance(where, str):
        return "where it is predicted"
    if isinstance(where, Tensor):
        return "in a mask"
    if isinstance(where[0], tuple):
        return "in box " + ", ".join(f"{start:g}:{stop:g}" for start, stop in where)
    told = ", ".join(f"{each:g}" for each in where)
    return f"in box ({told})" if len(where) == 4 else f"at {_place_name(len(where))} ({told})"


def spans_of(where: Any, size: Sequence[int]) -> Spans:
    """(start, stop) of each axis of an input of this size, of a box or a place in it.

    Raises:
        TargetError: it is of other axes, or does not lie in the input.
    """
    if isinstance(where[0], tuple):
        spans = where
    elif len(where) == 4:
        spans = (where[1], where[3]), (where[0], where[2])
    else:
        spans = tuple((each, each + 1) for each in (where[::-1] if len(where) == 2 else where))
    label, what = where_label(where).partition(" ")[2], NAMES.get(len(size), "input")
    if len(spans) != len(size):
        raise TargetError(
            f"Region: the {label} is of {counted(len(spans), 'axis', 'axes')}, and the {what} has {len(size)}, of "
            f"{_sides(size)}; expected {_expected(len(size))}"
        )
    if any(start < 0 or stop > side for (start, stop), side in zip(spans, size, strict=True)):
        told = f"{size[1]} wide, {size[0]} high" if len(size) == 2 else f"{_sides(size)}"
        raise TargetError(f"Region: the {label} does not lie in the {what}, which is {told}")
    return spans  # type: ignore[no-any-return]


def _expected(axes: int) -> str:
    if axes == 1:
        return "((start, stop),), or (t,) for one sample"
    if axes == 2:
        return "(x0, y0, x1, y1), or (x, y) for one pixel"
    return "(start, stop) of each axis, or (a, b, c) for one voxel, in the order of the axes"


def _sides(size: Sequence[int]) -> str:
    return f"{size[0]} samples" if len(size) == 1 else " × ".join(map(str, size))


def drawn_spans(spans: Spans, size: Sequence[int]) -> Tensor:
    """(*size) bool: every place of an input that a box touches."""
    drawn = torch.zeros(tuple(size), dtype=torch.bool, device="cpu")
    drawn[tuple(slice(math.floor(start), math.ceil(stop)) for start, stop in spans)] = True
    return drawn


def mask_weights(mask: Tensor, grid: Sequence[int]) -> Tensor:
    """(*grid) float64: the share of each cell that lies inside a mask (*size) bool; cells divide each axis evenly."""
    shares = mask.double()
    for axis, cells in enumerate(grid):
        if shares.shape[axis] != cells:
            along = overlaps(shares.shape[axis], cells)
            shares = torch.tensordot(along, shares, dims=([1], [axis])).movedim(0, axis)
    return shares


def box_weights(spans: Spans, size: Sequence[int], grid: Sequence[int]) -> Tensor:
    """(*grid) float64: the share of each cell that lies in a box, (start, stop) of each axis of an input (*size)."""
    shares = torch.ones((), dtype=torch.float64, device="cpu")
    for (start, stop), side, cells in zip(spans, size, grid, strict=True):
        shares = shares[..., None] * covered(start, stop, side, cells)
    return shares


def overlaps(pixels: int, cells: int) -> Tensor:
    """(cells, pixels) float64: which share of each cell each pixel is, where both divide one length evenly."""
    edges = torch.arange(pixels, dtype=torch.float64, device="cpu")
    starts = torch.arange(cells, dtype=torch.float64, device="cpu")[:, None] * (pixels / cells)
    ends = starts + pixels / cells
    shared = torch.minimum(ends, edges + 1) - torch.maximum(starts, edges)
    return shared.clamp(min=0) * (cells / pixels)


def covered(start: float, end: float, pixels: int, cells: int) -> Tensor:
    """(cells,) float64: the share of each cell that lies between two places, in pixels."""
    step = pixels / cells
    starts = torch.arange(cells, dtype=torch.float64, device="cpu") * step
    shared = (starts + step).clamp(max=end) - starts.clamp(min=start)
    return shared.clamp(min=0) / step
