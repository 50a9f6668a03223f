"""The part of an image that is perturbed: all of it, or a region of interest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from explainers.errors import ImageError, OptionError, counted

Span = Sequence[int] | slice
Roi = Sequence[Span]
Region = tuple[slice, ...]


def region_of(roi: Roi | None, size: Sequence[int]) -> Region:
    """Where an image of this size is perturbed: a slice of each of its axes.

    Args:
        roi: (start, stop) of each axis, the stop excluded, or a slice; None: everything.

    Raises:
        OptionError: another number of axes, or nothing inside. ImageError: it reaches outside of this image, which
            another one may be large enough for.
    """
    if roi is None:
        return tuple(slice(0, side) for side in size)
    if len(roi) != len(size):
        raise OptionError(
            f"roi={roi!r} is of {counted(len(roi), 'axis', 'axes')}, and the input has {len(size)}, of {_sizes(size)} "
            "positions; expected (start, stop) for each"
        )
    return tuple(_span(each, side, roi, size) for each, side in zip(roi, size, strict=True))


def _span(span: Span, side: int, roi: Roi, size: Sequence[int]) -> slice:
    start, stop = _ends(span, side, roi)
    if start >= stop:
        raise OptionError(f"roi={roi!r}: there is nothing from {start} to {stop}; expected start < stop")
    if start < 0:
        raise OptionError(f"roi={roi!r}: {start} is before the first position; expected 0 ≤ start < stop")
    if stop > side:
        raise ImageError(f"roi={roi!r} reaches outside of the input, which has {_sizes(size)} positions")
    return slice(start, stop)


def _ends(span: Span, side: int, roi: Roi) -> tuple[int, int]:
    if isinstance(span, slice):
        if span.step not in (None, 1):
            raise OptionError(f"roi={roi!r}: expected slices without a step")
        return (0 if span.start is None else span.start), (side if span.stop is None else span.stop)
    if len(span) != 2:
        raise OptionError(f"roi={roi!r}: expected (start, stop) for each axis")
    return int(span[0]), int(span[1])


def placed(values: Tensor, region: Region, size: Sequence[int]) -> Tensor:
    """Maps (K, *region) in maps (K, *size) of the whole image, which are 0 outside."""
    if tuple(values.shape[1:]) == tuple(size):
        return values
    whole = values.new_zeros(len(values), *size)
    whole[(slice(None), *region)] = values
    return whole


def sides(name: str, value: Any, default: Sequence[int]) -> tuple[int, ...]:
    """An option that is one number for all axes or one for each, as one for each.

    Args:
        default: for None; as many numbers as there are axes.

    Raises:
        OptionError: another number of them, or one below 1.
    """
    if value is None:
        return tuple(default)
    made = (value,) * len(default) if isinstance(value, int) else tuple(int(each) for each in value)
    if len(made) != len(default):
        raise OptionError(
            f"{name}={value} has {counted(len(made), 'side')}, and the input {counted(len(default), 'axis', 'axes')}"
        )
    if min(made) < 1:
        raise OptionError(f"{name}={value}; expected at least one pixel")
    return made


def _sizes(size: Sequence[int]) -> str:
    return " × ".join(map(str, size))
