"""The rules of Guided Backprop and its relatives, put on the rectifiers of a graph while gradients go through it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from explainers.errors import refuse
from explainers.network.rectifiers.cuts import Cuts
from explainers.network.rectifiers.find import Rectifiers, find_rectifiers

Rule = Callable[[Tensor], Tensor]


@contextmanager
def rectified(
    scores: Tensor, image: Tensor, rule: str, *, cuts: Cuts | None = None, smooth: str = "refuse", name: str
) -> Iterator[None]:
    """Inside, backward passes from `scores` follow `rule` at every rectifier.

    Args:
        scores: with a graph; image: the leaf of that graph to which gradients go.
        rule: "guided" (g · [g > 0] · [x > 0]), "guided-minus" (g · [g < 0] · [x > 0]) or "deconvolution" (g · [g > 0])
        cuts: that has watched the forward pass.
        smooth: what to do about GELU, SiLU, Hardswish, leaky units, …: "refuse", "rectify" (apply the rule there too)
            or "pass" (apply it at the ReLUs alone).
        name: the method's, for the refusal.

    Raises:
        UnsupportedError: no ReLU in the graph, smooth rectifiers under "refuse", or nodes that hide their inside.
    """
    found = find_rectifiers(scores, image, cuts)
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
            f"a part of its graph is closed ({found.counts(found.opaque)}: fused, checkpointed or custom "
            "code, or a unit written out), and ReLUs inside it would be passed over",
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
    if found.shifted:
        raise refuse(
            name,
            f"it has units that bend elsewhere than at zero ({found.counts(found.shifted)}), which may be ReLUs of "
            "something shifted",
            "grad-cam, smooth-grad or saliency",
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
