"""Backward rules at every rectifier of a network, on the autograd graph and not on its modules.

Functional ReLUs, clamps, shared modules and in-place spellings are all one node each in the graph, and a tensor that
feeds a ReLU and a skip connection has its two gradients apart there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from explainers.errors import refuse

Rule = Callable[[Tensor], Tensor]

# node name → attribute with the lower end, which must be 0 for the node to be a ReLU (None: always one)
STRICT: dict[str, str | None] = {
    "ReluBackward0": None,
    "ReluBackward1": None,
    "ClampMinBackward0": "_saved_min",
    "ClampBackward1": "_saved_min",
    "ClampBackward0": "_saved_min",
    "HardtanhBackward0": "_saved_min_val",
    "ThresholdBackward0": "_saved_threshold",
    "ThresholdBackward1": "_saved_threshold",
}
SMOOTH = frozenset(
    f"{name}Backward{index}"
    for name in (
        "Gelu", "Silu", "Hardswish", "Mish", "Softplus", "Elu", "Celu", "LeakyRelu", "PreluKernel", "RreluWithNoise",
        "LogSigmoid", "Softshrink", "Hardshrink",
    )
    for index in (0, 1)
)  # fmt: skip
OPAQUE = ("DifferentiableGraph", "CompiledFunction", "CheckpointFunction")


@dataclass
class Rectifiers:
    """The rectifier nodes of a graph: strict (a ReLU in any spelling), smooth, and nodes that could hide some."""

    strict: list[Any] = field(default_factory=list)
    smooth: list[Any] = field(default_factory=list)
    opaque: list[Any] = field(default_factory=list)

    @staticmethod
    def counts(nodes: list[Any]) -> str:
        """Such as "17 Relu, 2 Hardtanh"."""
        names = Counter(node.name().split("::")[-1].partition("Backward")[0] for node in nodes)
        return ", ".join(f"{count} {name}" for name, count in names.most_common())


def find_rectifiers(scores: Tensor) -> Rectifiers:
    """All rectifier nodes between the scores and the leaves of their graph."""
    found = Rectifiers()
    for node in graph_nodes(scores.grad_fn):
        name = node.name().split("::")[-1]
        if name in STRICT:
            if _starts_at_zero(node, STRICT[name]):
                found.strict.append(node)
        elif name in SMOOTH:
            found.smooth.append(node)
        elif name.startswith(OPAQUE) or _is_custom(node) or _is_written_out(node, name):
            found.opaque.append(node)
    return found


def graph_nodes(root: Any) -> Iterator[Any]:
    """Every node of an autograd graph, once, without recursion."""
    seen, stack = {root}, [root]
    while stack:
        node = stack.pop()
        if node is None:
            continue
        yield node
        for parent, _ in node.next_functions:
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append(parent)


@contextmanager
def rectified(scores: Tensor, rule: str, *, smooth: str = "refuse", name: str) -> Iterator[None]:
    """Inside, backward passes from `scores` follow `rule` at every rectifier.

    Args:
        scores: with a graph.
        rule: "guided" (g · [g > 0] · [x > 0]), "guided-minus" (g · [g < 0] · [x > 0]) or "deconvolution" (g · [g > 0])
        smooth: what to do about GELU, SiLU, Hardswish, leaky units, …: "refuse", "rectify" (apply the rule there too)
            or "pass" (apply it at the ReLUs alone).
        name: the method's, for the refusal.

    Raises:
        UnsupportedError: no ReLU in the graph, smooth rectifiers under "refuse", or nodes that hide their inside.
    """
    found = find_rectifiers(scores)
    _check(found, smooth, name)
    nodes = found.strict + (found.smooth if smooth == "rectify" else [])
    handles = [_attach(node, rule) for node in nodes]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _check(found: Rectifiers, smooth: str, name: str) -> None:
    if found.opaque:
        raise refuse(
            name,
            f"a part of its graph is closed ({found.counts(found.opaque)}: fused, checkpointed or custom code), and "
            "ReLUs inside it would be passed over",
            "the original (not scripted, compiled or fused) network, or grad-cam or saliency",
        )
    if found.smooth and smooth == "refuse":
        strict = f" beside {found.counts(found.strict)}" if found.strict else " and no ReLU"
        raise refuse(
            name,
            f"it has smooth rectifiers ({found.counts(found.smooth)}){strict}, for which the rule is not defined "
            "(smooth='rectify' applies it there too, smooth='pass' at the ReLUs alone)",
            "grad-cam, smooth-grad or saliency",
        )
    if not found.strict and not (smooth == "rectify" and found.smooth):
        raise refuse(
            name,
            "no ReLU was met between its scores and the image, so the map would be the plain gradient",
            "saliency, which is that map under its own name, or grad-cam",
        )


def _attach(node: Any, rule: str) -> Any:
    if rule == "deconvolution":
        # The node's own [x > 0] is dropped: the incoming gradient replaces its result, in the one input it has.
        return node.register_hook(
            lambda inputs, outputs: tuple(
                outputs[0].clamp(min=0) if index == 0 and grad is not None else grad
                for index, grad in enumerate(inputs)
            )
        )
    keep: Rule = {"guided": _positive, "guided-minus": _negative}[rule]
    return node.register_prehook(lambda outputs: tuple(None if grad is None else keep(grad) for grad in outputs))


def _positive(grad: Tensor) -> Tensor:
    return grad.clamp(min=0)


def _negative(grad: Tensor) -> Tensor:
    return grad.clamp(max=0)


def _starts_at_zero(node: Any, attribute: str | None) -> bool:
    if attribute is None:
        return True
    value = getattr(node, attribute, None)
    return value is not None and float(value) == 0.0


def _is_custom(node: Any) -> bool:
    return isinstance(node, torch.autograd.function.BackwardCFunction)


def _is_written_out(node: Any, name: str) -> bool:
    """What may be a ReLU in other words: a maximum with zeros, a choice between x and a constant, a 0/1 mask, |x|."""
    if name.startswith(("MaximumBackward", "FmaxBackward", "ClampMinBackward1")):
        sides = [getattr(node, side, None) for side in ("_saved_self", "_saved_other", "_saved_min")]
        return any(_all_zero(side) for side in sides)
    if name.startswith("WhereBackward"):
        return sum(parent is None for parent, _ in node.next_functions) == 1
    if name.startswith("MulBackward"):
        return any(_is_mask(getattr(node, side, None)) for side in ("_saved_self", "_saved_other"))
    return name.startswith(("MaskedFillBackward", "IndexPutBackward", "AbsBackward"))


def _is_mask(value: Any) -> bool:
    """Whether a factor of a feature map is 0 or 1 everywhere, and both."""
    if not isinstance(value, Tensor) or value.ndim < 3 or not value.numel():
        return False
    return bool(((value == 0) | (value == 1)).all()) and bool(value.any()) and not bool(value.all())


def _all_zero(value: Any) -> bool:
    return isinstance(value, Tensor) and not bool(value.any())
