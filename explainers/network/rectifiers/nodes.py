"""What one node of an autograd graph is by its kind and by what it has kept: a ReLU, a smooth unit, or a hidden one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from explainers.network.rectifiers.graph import kind_of, name_of, saved, shape_of

# kind → name of the saved lower end, which must be 0 for the node to be a ReLU (None: always one)
STRICT: dict[str, str | None] = {
    "Relu": None,
    "ClampMin": "min",
    "Clamp": "min",
    "Hardtanh": "min_val",
    "Threshold": "threshold",
}
SMOOTH = frozenset(
    ("Gelu", "Silu", "Hardswish", "Mish", "Softplus", "Elu", "Celu", "LeakyRelu", "PreluKernel", "RreluWithNoise",
     "LogSigmoid", "Softshrink", "Hardshrink", "Prelu")
)  # fmt: skip
OPAQUE = ("DifferentiableGraph", "CompiledFunction", "CheckpointFunction")
# A mask stands in each of these, whatever it was made of.
MASKED = frozenset(
    ("Where", "MaskedFill", "MaskedScatter", "MaskedSelect", "IndexPut", "IndexFill", "IndexCopy", "Scatter",
     "ScatterAdd", "ScatterReduce", "Put", "Abs", "Logaddexp", "Logaddexp2", "Hypot")
)  # fmt: skip
CHOICES = frozenset(("Maximum", "Minimum", "Fmax", "Fmin"))
PRODUCTS = frozenset(("Mul", "Div", "Addcmul", "Lerp", "Bmm", "Mm", "Xlogy"))
LENGTHS = ("Norm", "LinalgVectorNorm", "Cdist", "EuclideanDist", "Dist")  # of one number: its absolute value
ABOVE_ZERO = frozenset(("Sigmoid", "Hardsigmoid", "Softmax"))
KEPT = ("ToCopy", "Clone", "View", "UnsafeView", "Permute", "Transpose", "AsStrided", "MaxPool", "Alias", "Squeeze")


def reading(node: Any) -> str:
    """ "strict" (a ReLU), "smooth", "opaque" (it may hide a ReLU), "shifted" (it bends elsewhere than at 0), or ""."""
    kind = kind_of(node)
    if kind in STRICT:
        return _by_its_ends(node, kind)
    if kind in SMOOTH:
        return "smooth"
    if kind.startswith(OPAQUE) or name_of(node).startswith(OPAQUE) or kind in MASKED:
        return "opaque"
    if isinstance(node, torch.autograd.function.BackwardCFunction):
        return "opaque"
    if kind in CHOICES:
        return _by_its_constant(node, kind)
    if kind == "ClampMax":
        return _by_its_ends(node, kind)
    if kind in LENGTHS and _is_of_one_number(node, kind):
        return "opaque"
    return "opaque" if kind in PRODUCTS and _is_masked(node, kind) else ""


def is_mask(value: Any, shape: torch.Size | None) -> bool:
    """Whether a constant factor is one that a comparison may have made.

    Of truth values; or 0 and 1 in a feature map; or of at most two values where it has the product's own shape. All
    1 is a mask as well: the rule then still stops gradients of the other sign.
    """
    if not isinstance(value, Tensor) or value.requires_grad or value.numel() < 2:
        return False
    if value.dtype == torch.bool:
        return True
    low, high = value.min(), value.max()
    if not bool(((value == low) | (value == high)).all()):
        return False
    if shape is not None and value.shape == shape:
        return True
    return value.ndim >= 3 and bool(low == 0) and bool(high == 1)


def _by_its_ends(node: Any, kind: str) -> str:
    """A clamp by its ends: [0, …) is a ReLU, (…, 0] one of −x; others bend where there is something to rectify."""
    if STRICT.get(kind) is None and kind != "ClampMax":
        return "strict"
    low = None if kind == "ClampMax" else saved(node, STRICT[kind] or "")[0]
    high = saved(node, "max_val" if kind == "Hardtanh" else "max")[0] if kind != "Threshold" else None
    if _all_zero(low):
        return "strict"
    if _all_zero(high):
        return "opaque"
    if low is None and high is None:
        return "opaque"
    if low is not None and high is not None and _below_zero(low) and not _below_zero(high):
        return ""  # saturates on both sides of zero, as tanh does
    value = saved(node, "self")[0]
    if _behind_a_relu(node) or not isinstance(value, Tensor):
        return "" if isinstance(value, Tensor) else "opaque"
    inside = (low is None or bool((value > low).all())) and (high is None or bool((value < high).all()))
    return "" if inside else "shifted"


def _by_its_constant(node: Any, kind: str) -> str:
    """A choice between x and a constant; between two branches of the network it is no rectifier (a maxout)."""
    if all(parent is not None for parent, _ in node.next_functions):
        return ""
    values = dict(zip(("self", "other"), saved(node, "self", "other"), strict=True))
    sides = [values[side] for side, (parent, _) in zip(values, node.next_functions, strict=True) if parent is None]
    if not all(isinstance(side, Tensor) for side in sides) or any(_all_zero(side) for side in sides):
        return "opaque"
    if _behind_a_relu(node):
        return ""
    first, second = values.values()
    taken = first > second if sides[0] is second else second > first
    inside = taken.all() if kind in ("Maximum", "Fmax") else not bool(taken.any())
    return "" if bool(inside) else "shifted"


def _is_of_one_number(node: Any, kind: str) -> bool:
    """Whether a norm or a distance is that of vectors with one number each."""
    given = saved(node, "x1" if kind.endswith("Dist") or kind == "Cdist" else "self")[0]
    if not isinstance(given, Tensor):
        return kind not in ("Cdist", "EuclideanDist", "Dist")  # nothing tells
    if kind.endswith("ist"):
        return given.shape[-1] == 1
    shape = shape_of(node)
    return shape is not None and shape.numel() == given.numel()


def _is_masked(node: Any, kind: str) -> bool:
    names = {
        "Addcmul": ("tensor1", "tensor2"),
        "Lerp": ("weight",),
        "Bmm": ("self", "mat2"),
        "Mm": ("self", "mat2"),
        "Div": ("other",),
        "Xlogy": ("other",),
    }
    shape = shape_of(node)
    return any(is_mask(value, shape) for value in saved(node, *names.get(kind, ("self", "other"))))


def _behind_a_relu(node: Any) -> bool:
    """Whether the node reads a ReLU's output, or a gate's: a cap as of ReLU6, the small floor of generalised means."""
    while True:
        parents = [parent for parent, _ in node.next_functions if parent is not None]
        if len(parents) != 1:
            return False
        node = parents[0]
        if kind_of(node) in STRICT or kind_of(node) in ABOVE_ZERO:
            return kind_of(node) in ABOVE_ZERO or reading(node) == "strict"
        if not kind_of(node).startswith(KEPT):
            return False


def _all_zero(value: Any) -> bool:
    if isinstance(value, Tensor):
        return not bool(value.any())
    return value is not None and float(value) == 0.0


def _below_zero(value: Any) -> bool:
    return bool((torch.as_tensor(value, device="cpu") < 0).all())
