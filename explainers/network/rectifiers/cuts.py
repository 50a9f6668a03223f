"""Where a forward pass goes by the image without a gradient: masks, choices and detached terms, which no graph shows.

A graph keeps the mask of x · (x > 0), and not what it was made of. So the forward pass is watched: what is made from
the image is followed through all operations, and where such a tensor without a gradient meets one with a gradient, the
values decide. A mask of channels or positions, a norm that was detached, and rounding with a straight-through gradient
are no rectifiers. What Python decides on (`if x > 0`, `float(x)`) is not seen.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from explainers.network.rectifiers.by_value import (
    goes_by,
    is_rectified,
    of_each_value,
    one_by_one,
    one_sided,
    scales_each,
)

Result = TypeVar("Result")

# Where the factors are among the arguments.
MATRICES = {"mm": (0, 1), "bmm": (0, 1), "mv": (0, 1), "addmm": (1, 2), "baddbmm": (1, 2), "addbmm": (1, 2),
            "addmv": (1, 2), "_sparse_mm": (0, 1)}  # fmt: skip
FACTORS = {"mul": (0, 1), "div": (0, 1), "addcmul": (1, 2), "addcdiv": (1, 2), "_trilinear": (0, 1, 2),
           "lerp": (0, 1, 2), "native_batch_norm": (0, 1), "cudnn_batch_norm": (0, 1), "miopen_batch_norm": (0, 1),
           "_native_batch_norm_legit_no_training": (0, 1), "_batch_norm_no_update": (0, 1)}  # fmt: skip
INDICES = frozenset(("index", "_unsafe_index", "gather", "take", "index_select", "embedding", "index_add"))
SUMS = frozenset(("add", "sub", "rsub"))
RANKING = frozenset(("sort", "topk", "argsort", "max_pool2d_with_indices", "max_pool3d_with_indices"))
AFFINE = frozenset(("add_", "sub_", "mul_", "div_"))
QUANTISING = ("fake_quantize", "_fake_quantize", "_fused_moving_avg", "fused_moving_avg")
EMPTYING = frozenset(("zero_", "fill_", "detach_", "set_", "resize_"))


class Cuts(TorchDispatchMode):
    """A forward pass inside is watched; `nodes()` are those of its graph that may hide a rectifier."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self._made = {_storage(image)}  # what was made of the image
        self._ranks: set[int] = set()  # of that, places in an order of values
        self._tracked: dict[int, weakref.ref[Tensor]] = {}  # and what a gradient is to go through
        self._found: list[Tensor] = []
        self._ranked: list[Tensor] = []

    def nodes(self) -> list[Any]:
        """The nodes at which something was found, of this or another graph."""
        return [value.grad_fn for value in self._found if value.grad_fn is not None]

    def ranked(self) -> list[Any]:
        """The nodes that choose for each value on its own, by a place in an order of values."""
        return [value.grad_fn for value in self._ranked if value.grad_fn is not None]

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = list(_tensors((args, kwargs)))
        name = operation.overloadpacket.__name__
        fresh = name.startswith("new_") or name.endswith("_like")  # has the shape of its argument alone
        made = [] if fresh else [value for value in given if _storage(value) in self._made]
        alters = bool(made) and operation._schema.is_mutable
        plain = name.removesuffix("_") if alters else name
        way, cut = _parted(made) if torch.is_grad_enabled() else ([], [])
        by_rank = False
        if name in INDICES:
            by_rank = any(_storage(value) in self._ranks for value in cut)
            cut = [value for value in cut if _storage(value) not in self._ranks]
        values = tuple(args)
        if alters and way and cut and way[0] is args[0]:
            values = (args[0].detach().clone(), *args[1:])
        behind = alters and self._is_behind(name, args, made)
        result = operation(*args, **kwargs)
        self._follow(name, result, given, made)
        if behind and (tracked := self._tracked[_storage(args[0])]()) is not None:
            self._found.append(tracked)
        elif way and not behind and (_clips(name, way, result) or (cut and _hides(plain, args, values, cut, result))):
            self._found.append(next(_tensors((result,))))
        elif way and by_rank and of_each_value(name, args, chosen := next(_tensors((result,)))):
            self._ranked.append(chosen)
        return result

    def _is_behind(self, name: str, args: Any, made: list[Tensor]) -> bool:
        """Whether values that have a gradient are changed without it."""
        changed = args[0] if args else None
        if not isinstance(changed, Tensor) or _storage(changed) not in self._tracked or name in EMPTYING:
            return False
        harmless = name in AFFINE and len(made) == 1
        return not harmless and not (torch.is_grad_enabled() and changed.requires_grad)

    def _follow(self, name: str, result: Any, given: list[Tensor], made: list[Tensor]) -> None:
        before = {_storage(value) for value in given}
        graph = name != "detach" and torch.is_grad_enabled() and any(value.requires_grad for value in made)
        whole = [_storage(value) in self._ranks for value in made if not value.is_floating_point()]
        ranks = name in RANKING or (bool(whole) and all(whole))
        for value in _tensors((result,)):
            place = _storage(value)
            if place not in before:
                self._made.discard(place)
                self._ranks.discard(place)
                self._tracked.pop(place, None)
            if not made:
                continue
            self._made.add(place)
            if graph:
                self._tracked[place] = weakref.ref(value)
            if ranks and not value.is_floating_point():
                self._ranks.add(place)


def watched(image: Tensor, call: Callable[[Tensor], Result]) -> tuple[Result, Cuts]:
    """What a forward pass returns, and what was seen in it."""
    with Cuts(image) as cuts:
        returned = call(image)
    return returned, cuts


def _clips(name: str, way: list[Tensor], result: Any) -> bool:
    """Whether a quantisation cuts values off at zero."""
    return name.startswith(QUANTISING) and one_sided(way[0], next(_tensors((result,))))


def _hides(name: str, args: Any, values: Any, cut: list[Tensor], result: Any) -> bool:
    """Whether an operation that joins values with a gradient to others without may be a rectifier."""
    made = next(_tensors((result,)))
    if name in INDICES:
        return of_each_value(name, args, made)
    if name == "convolution":
        return any(each is args[1] for each in cut) and scales_each(args[1], args[8])
    if name in SUMS:
        return any(is_rectified(value, made) for value, cut_off in _split(values[:2], cut) if not cut_off)
    sides = list(_split([values[index] for index in (*MATRICES.get(name, ()), *FACTORS.get(name, ()))], cut))
    factors = [value for value, cut_off in sides if cut_off]
    if name in MATRICES:
        return any(one_by_one(factor) for factor in factors)
    return any(goes_by(factor, value, made) for factor in factors for value, cut_off in sides if not cut_off)


def _split(values: Any, cut: list[Tensor]) -> Iterator[tuple[Tensor, bool]]:
    for value in values:
        if isinstance(value, Tensor):
            yield value, any(value is each for each in cut)


def _parted(made: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Of what was made of the image: with a gradient, and without."""
    return [value for value in made if value.requires_grad], [value for value in made if not value.requires_grad]


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values.values() if isinstance(values, dict) else values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (tuple, list, dict)):
            yield from _tensors(value)


def _storage(value: Tensor) -> int:
    try:
        return value.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):  # sparse or nested
        return id(value)
