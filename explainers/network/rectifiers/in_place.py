"""What an operation in place on a view does: its node (CopySlices) hides it, so its backward is tried and watched."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from explainers.network.rectifiers.graph import kind_of, shape_of
from explainers.network.rectifiers.nodes import is_mask

# What moves, copies, sums or scales a gradient, or takes it through an S-shaped unit, which no rule concerns.
HARMLESS = frozenset(
    ("ones", "zeros", "zeros_like", "ones_like", "empty", "empty_like", "empty_strided", "new_empty",
     "new_empty_strided", "new_zeros", "scalar_tensor", "fill_", "zero_", "copy_", "_to_copy", "clone", "detach",
     "alias", "as_strided", "view", "_unsafe_view", "reshape", "expand", "permute", "transpose", "t", "squeeze",
     "unsqueeze", "slice", "select", "split", "unbind", "sum", "neg", "mul", "mul_", "div", "add", "add_",
     "sigmoid_backward", "tanh_backward")
)  # fmt: skip


def is_view_change(node: Any) -> bool:
    """Whether the node stands for an operation in place on a view."""
    return kind_of(node) == "CopySlices"


def reading_of_view_change(node: Any) -> str:
    """As `nodes.reading`: "strict" where a ReLU has changed all of the view's base, "opaque" where anything bends."""
    watch = _Watch()
    try:
        described = node._input_metadata[0]
        with torch.no_grad(), watch:
            node(torch.ones(described.shape, dtype=described.dtype, device=described.device))
    except (RuntimeError, AttributeError, IndexError, TypeError):
        return "opaque"
    if not watch.bends:
        return ""
    whole = watch.rectified == (shape_of(node) or torch.Size()).numel()
    return "strict" if whole and watch.bends == 1 else "opaque"


class _Watch(TorchDispatchMode):
    """Counts the operations that are not harmless, and keeps how many values a ReLU's backward has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.bends, self.rectified = 0, 0

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = operation.overloadpacket.__name__
        if name in ("threshold_backward", "hardtanh_backward") and float(args[2]) == 0:
            self.rectified = args[0].numel()
            self.bends += 1
        elif name not in HARMLESS or (name in ("mul", "mul_") and _masks(args)):
            self.bends += 1
        return operation(*args, **(kwargs or {}))


def _masks(factors: Any) -> bool:
    """Whether one of two factors is a mask; the gradient that was put in, all 1, is the first."""
    return isinstance(factors[1], Tensor) and is_mask(factors[1].detach(), factors[0].shape)
