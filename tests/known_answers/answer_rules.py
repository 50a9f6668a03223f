"""Gradients by hand: under a rule at every ReLU *call*, plain, by finite differences, over noise.

The package hangs its rules on autograd nodes; here every call that computes a ReLU is replaced by another function while
the network runs, so the two have nothing in common but the network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

Scores = Callable[[Tensor], Tensor]
RELU = {F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_}
LOWER_BOUND = {torch.clamp_min, torch.clamp_min_, Tensor.clamp_min, Tensor.clamp_min_}
BOUNDS = {
    torch.clamp, torch.clamp_, Tensor.clamp, Tensor.clamp_, torch.clip, torch.clip_, Tensor.clip, Tensor.clip_
}  # fmt: skip
NAMES = {F.relu6: (0.0, 6.0), F.hardtanh: (-1.0, 1.0), F.hardtanh_: (-1.0, 1.0)}


class Rule(torch.autograd.Function):
    """min(max(x, 0), top) with another backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rule: str, top: float) -> Tensor:
        ctx.rule, ctx.open = rule, (x > 0) & (x < top)
        return x.clamp(0, top)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None, None]:
        zero = torch.zeros_like(g)
        if ctx.rule == "deconvolution":
            return torch.where(g > 0, g, zero), None, None
        kept = g > 0 if ctx.rule == "guided" else g < 0
        return torch.where(kept & ctx.open, g, zero), None, None


class Rectified(TorchFunctionMode):
    """Inside, every call that computes a ReLU (also capped, also in place) computes `Rule`; counts them."""

    def __init__(self, rule: str) -> None:
        super().__init__()
        self.rule, self.count = rule, 0

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        bounds = _bounds(function, args[1:], kwargs)
        if bounds is None or bounds[0] != 0:
            return function(*args, **kwargs)
        self.count += 1
        x = args[0] if args else kwargs["input"]
        result = Rule.apply(x.clone(), self.rule, bounds[1])
        in_place = kwargs.get("inplace", False) or function.__name__.endswith("_")
        return x.copy_(result) if in_place else result


def _bounds(function: Any, args: Any, kwargs: Any) -> tuple[float, float] | None:
    """(lower, upper) of a call that clamps, None for any other call."""
    infinity = float("inf")
    if function in RELU:
        return 0.0, infinity
    if function in NAMES:
        low, high = NAMES[function]
        numbers = [value for value in args if not isinstance(value, bool)]
        if function is not F.relu6:
            low = kwargs.get("min_val", numbers[0] if numbers else low)
            high = kwargs.get("max_val", numbers[1] if len(numbers) > 1 else high)
        return float(low), float(high)
    if function in (F.threshold, torch.threshold_):
        level, value = (*args, *kwargs.values())[:2]
        return (0.0, infinity) if level == value == 0 else None
    if function in LOWER_BOUND | BOUNDS:
        low = kwargs.get("min", args[0] if args else None)
        high = kwargs.get("max", args[1] if len(args) > 1 else None)
        return (-infinity if low is None else float(low)), (infinity if high is None else float(high))
    return None


def gradient(scores: Scores, image: Tensor, target: int, copies: int = 1) -> Tensor:
    """(C, H, W): ∂S_c/∂x of one image (C, H, W), by plain autograd.

    copies: 2 where torch's batch norm is wrong for a single image (see SoundBatchNorm).
    """
    leaf = image.expand(copies, *image.shape).clone().requires_grad_()
    with torch.enable_grad():
        score = scores(leaf.clone())[0, target]
    return torch.autograd.grad(score, leaf)[0][0]


def rectified_gradient(scores: Scores, image: Tensor, target: int, rule: str, copies: int = 1) -> Tensor:
    """(C, H, W): the same with "guided", "guided-minus" or "deconvolution" at every ReLU."""
    leaf = image.expand(copies, *image.shape).clone().requires_grad_()
    with torch.enable_grad(), Rectified(rule):
        score = scores(leaf.clone())[0, target]
    return torch.autograd.grad(score, leaf)[0][0]


def differences(scores: Scores, image: Tensor, target: int, step: float = 1e-6) -> Tensor:
    """(C, H, W): ∂S_c/∂x by central differences, pixel by pixel, for float64 networks."""
    result = torch.zeros_like(image)
    for index in range(image.numel()):
        ends = image.repeat(2, 1, 1, 1)
        ends.view(2, -1)[0, index] += step
        ends.view(2, -1)[1, index] -= step
        with torch.no_grad():
            above, below = scores(ends)[:, target]
        result.view(-1)[index] = (above - below) / (2 * step)
    return result


def smoothed(scores: Scores, image: Tensor, target: int, noise: Tensor, sigma: float, copies: int = 1) -> Tensor:
    """(C, H, W): mean of ∂S_c/∂x at x + σ · (max x − min x) · noise, one noisy image after the other."""
    spread = float(image.max() - image.min())
    total = torch.zeros_like(image)
    for each in noise:
        total += gradient(scores, image + sigma * spread * each.to(image), target, copies)
    return total / len(noise)
