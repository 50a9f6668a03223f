"""The same map in another precision: what shrinks with the last digit is rounding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

SHARE = 1e-3  # of a map that finer numbers leave of it, at most, where it is rounding: they leave some 1e-9
CASTS = frozenset(("float", "half", "bfloat16", "double"))
AS_THEY_ARE = frozenset(("__get__", "__set__", "__delete__"))


class In(TorchFunctionMode):
    """Inside, whatever torch computes with floating-point numbers is computed in this precision, whatever weights are
    kept in; nothing that exists is changed."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(function, "__name__", "")
        if name in AS_THEY_ARE:
            return function(*args, **(kwargs or {}))
        if name in CASTS:
            return args[0].to(self.dtype)  # whole numbers, too
        made = function(*self._cast(tuple(args)), **self._cast(kwargs or {}))
        return self._cast(made) if isinstance(made, (Tensor, torch.dtype)) else made

    def _cast(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.to(self.dtype) if value.is_floating_point() and value.dtype != self.dtype else value
        if isinstance(value, torch.dtype):
            return self.dtype if value.is_floating_point else value
        if type(value) in (tuple, list):
            return type(value)(self._cast(each) for each in value)
        return {key: self._cast(each) for key, each in value.items()} if type(value) is dict else value


def without_rounding(maps: Tensor, images: Tensor, again: Callable[[Tensor], Tensor]) -> Tensor | None:
    """Maps (N, K, …, *axes) with 0 for those that another precision makes smaller or larger by orders of magnitude.

    Args:
        images: (N, C, *axes) in the network's precision; again: makes the maps of such images, here in another one.

    Returns:
        None where the network cannot be run so.
    """
    double = images.dtype == torch.float64
    dtype = torch.float32 if double else torch.float64
    try:
        with In(dtype):
            other = again(images.to(dtype))
    except Exception:  # code that insists on its precision, or that torch's functions do not reach
        return None
    if other.shape != maps.shape:
        return None
    fine, coarse = (maps, other) if double else (other, maps)
    axes = tuple(range(-(images.ndim - 2), 0))
    left, there = (each.abs().amax(axes, keepdim=True).double() for each in (fine, coarse))
    return torch.where(left <= SHARE * there, 0, maps)
