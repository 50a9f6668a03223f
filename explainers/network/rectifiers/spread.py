"""What a value of a node's output depends on: gradients sent backwards that no saturated or dead unit stops.

They are no derivatives: a unit that works on each value alone passes them on, a factor that happens to be 0 does not
count, and all that a maximum chooses from gets some. Linear nodes and whatever is not named here have their own
backward.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.network.rectifiers.graph import kind_of, positive, saved, shape_of
from explainers.network.rectifiers.nodes import CHOICES, SMOOTH, STRICT

# One value in, one value out, and bent without being a rectifier.
UNIVARIATE = frozenset(
    ("Tanh", "Sigmoid", "Hardsigmoid", "Exp", "Exp2", "Expm1", "Log", "Log1P", "Log2", "Log10", "Sqrt", "Rsqrt",
     "Reciprocal", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Asinh", "Acosh", "Atanh", "Sinh", "Cosh", "Erf",
     "Erfc", "Erfinv", "Sinc", "Logit", "Sign", "Sgn", "Floor", "Ceil", "Round", "Trunc", "Frac", "Lgamma",
     "Digamma", "ClampMax")
)  # fmt: skip
PASSED = UNIVARIATE | SMOOTH | frozenset(STRICT)
ELEMENTWISE = CHOICES | frozenset(
    ("Mul", "Div", "Addcmul", "Addcdiv", "Lerp", "Pow", "Atan2", "Xlogy", "Hypot", "Copysign", "Where", "Logaddexp",
     "Logaddexp2", "Fmod", "Remainder")
)  # fmt: skip
REDUCTIONS = frozenset(
    ("Max", "Min", "Amax", "Amin", "Median", "Nanmedian", "Sort", "Topk", "Kthvalue", "Logsumexp", "Mode", "Aminmax",
     "Cummax", "Cummin", "Norm", "LinalgVectorNorm", "Logcumsumexp")
)  # fmt: skip
POOLS = ("MaxPool", "AdaptiveMaxPool", "FractionalMaxPool")
SOFTMAXES = frozenset(("Softmax", "SafeSoftmax", "LogSoftmax"))

Given = dict[int, Tensor]  # by a node's output


def spread(node: Any, given: Given) -> list[Tensor | None]:
    """What arrives at each of the edges of a node where `given` leaves it.

    Raises RuntimeError, TypeError or such where the node cannot be run backwards.
    """
    kind, first = kind_of(node), given.get(0)
    shapes = [None if parent is None else shape_of(parent, output) for parent, output in node.next_functions]
    fed = [shape for shape in shapes if shape is not None]
    if first is not None and len(given) == 1:
        if kind in PASSED and shapes[0] == first.shape:
            return [first if index == 0 else None for index in range(len(shapes))]
        if kind in ELEMENTWISE:
            return [None if shape is None else (first * (1 + 0.37 * index)).sum_to_size(shape)
                    for index, shape in enumerate(shapes)]  # fmt: skip
        if kind == "Glu":
            return [torch.cat([first, 1.37 * first], positive(saved(node, "dim")[0], first.ndim))]
        if kind.startswith("ScaledDotProduct") and len(shapes) >= 3:
            return _of_attention(first, shapes)
        if kind in SOFTMAXES:
            return [_over(first, saved(node, "dim")[0], first.shape, kept=True)]
    if kind in REDUCTIONS and len(fed) == 1 and len(shapes) == 1:
        return [_of_reduction(node, next(iter(given.values())), fed[0])]
    if kind.startswith(POOLS) and first is not None and len(fed) == 1:
        return [_of_pool(node, first, fed[0])]
    described = node._input_metadata
    outputs = [given[index] if index in given else _nothing(each) for index, each in enumerate(described)]
    answer = node(*outputs)
    return list(answer) if isinstance(answer, tuple) else [answer]


def _nothing(described: Any) -> Tensor:
    return torch.zeros(described.shape, dtype=described.dtype, device=described.device)


def _of_reduction(node: Any, given: Tensor, shape: torch.Size) -> Tensor:
    over, kept = saved(node, "dim", "keepdim")
    return _over(given, over, shape, kept=bool(kept) or given.ndim == len(shape))


def _over(given: Tensor, over: Any, shape: torch.Size, *, kept: bool) -> Tensor:
    """To all values along the dimensions that were reduced (None or (): all), to each a share of its own."""
    dims = over if isinstance(over, (tuple, list)) else () if over is None else (over,)
    if not dims or not shape:
        return given.sum() * _shares(given, shape)
    places = sorted(positive(dim, len(shape)) for dim in dims)
    if kept:
        given = given.sum(places, keepdim=True)
    else:
        for place in places:
            given = given.unsqueeze(place)
    return given * _shares(given, shape)


def _of_attention(given: Tensor, shapes: list[torch.Size | None]) -> list[Tensor | None]:
    """To the query of the row, to all keys, and of all values to the entries at the same place."""
    sums = given.sum(-1, keepdim=True), given.sum((-2, -1), keepdim=True), given.sum(-2, keepdim=True)
    pairs = zip(sums, shapes, strict=False)
    return [None if shape is None else value * _shares(value, shape) for value, shape in pairs]


def _of_pool(node: Any, given: Tensor, shape: torch.Size) -> Tensor:
    """As a mean over the same windows would send it."""
    kind = kind_of(node)
    axes = 3 if "3D" in kind else 2
    values = torch.zeros(shape, dtype=given.dtype, device=given.device, requires_grad=True)
    with torch.enable_grad():
        if kind.startswith("MaxPool"):
            kernel, stride, padding = (list(each or ()) for each in saved(node, "kernel_size", "stride", "padding"))
            pool = F.avg_pool3d if axes == 3 else F.avg_pool2d
            ceil = bool(saved(node, "ceil_mode")[0])
            means = pool(values, kernel, stride or None, padding, ceil)
        else:
            adaptive = F.adaptive_avg_pool3d if axes == 3 else F.adaptive_avg_pool2d
            means = adaptive(values, tuple(given.shape[-axes:]))  # type: ignore[arg-type]
    return torch.autograd.grad(means, values, given)[0] * _shares(given, shape)


def _shares(given: Tensor, shape: torch.Size) -> Tensor:
    """Values in 1 … 2 that hardly cancel in a sum."""
    positions = torch.arange(max(shape.numel(), 1), dtype=torch.float64, device="cpu")
    return (1 + (positions * 0.6180339887) % 1).to(given).reshape(shape)
