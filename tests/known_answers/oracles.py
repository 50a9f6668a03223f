"""Slow answers that share no code with the package: calls replaced by custom autograd functions, formulas in loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

RELUS = (F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_)
RELU6 = (F.relu6, F.hardtanh, F.hardtanh_)
CLAMPS = (torch.clamp, torch.clamp_, Tensor.clamp, Tensor.clamp_, torch.clamp_min, Tensor.clamp_min, Tensor.clamp_min_)


class Ruled(torch.autograd.Function):
    """clamp(x, 0, top) whose backward follows a rule."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rule: str, top: float | None) -> Tensor:
        ctx.save_for_backward(x)
        ctx.rule, ctx.top = rule, top
        return x.clamp(min=0) if top is None else x.clamp(0, top)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        passed = x > 0
        if ctx.top is not None:
            passed = passed & (x < ctx.top)
        if ctx.rule == "deconvolution":
            return g * (g > 0), None, None
        sign = g > 0 if ctx.rule == "guided" else g < 0
        return g * sign * passed, None, None


class EveryRelu(TorchFunctionMode):
    """Every call that computes a ReLU, however it is spelled, becomes `Ruled`."""

    def __init__(self, rule: str) -> None:
        super().__init__()
        self.rule, self.count = rule, 0

    def __torch_function__(self, func: Callable, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        low = kwargs.get("min", args[1] if len(args) > 1 else None)
        high = kwargs.get("max", args[2] if len(args) > 2 else None)
        if func in RELUS:
            return self._ruled(args[0], None)
        if func in RELU6:
            low = kwargs.get("min_val", args[1] if len(args) > 1 else 0 if func is F.relu6 else -1)
            high = kwargs.get("max_val", args[2] if len(args) > 2 else 6 if func is F.relu6 else 1)
            if low == 0:
                return self._ruled(args[0], high)
        if func in CLAMPS and isinstance(low, (int, float)) and low == 0:
            return self._ruled(args[0], high)
        if func is F.threshold and args[1:3] == (0, 0):
            return self._ruled(args[0], None)
        return func(*args, **kwargs)

    def _ruled(self, x: Tensor, top: float | None) -> Tensor:
        self.count += 1
        return Ruled.apply(x, self.rule, top)


def ruled_gradient(network: Callable, images: Tensor, targets: Tensor, rule: str) -> Tensor:
    """(N, C, H, W): gradient of the target scores under a rule at every ReLU."""
    leaf = images.clone().requires_grad_()
    with EveryRelu(rule):
        scores = network(leaf.clone())
    return torch.autograd.grad(scores.gather(1, targets[:, None]).sum(), leaf)[0]


def split(network: nn.Module, name: str, images: Tensor, targets: Tensor, call: int = 0) -> tuple[Tensor, Tensor]:
    """Activation and gradient of a layer: the network is run once to see its output, once with that as a leaf."""
    module = network.get_submodule(name)
    seen: list[Tensor] = []
    handle = module.register_forward_hook(lambda m, i, o: seen.append(o.detach().clone()) or None)
    with torch.no_grad():
        network(images.clone())
    handle.remove()
    leaf = seen[call].requires_grad_()
    runs = iter(range(10_000))
    handle = module.register_forward_hook(lambda m, i, o: leaf.clone() if next(runs) == call else None)
    scores = network(images.clone())
    handle.remove()
    gradient = torch.autograd.grad(scores.gather(1, targets[:, None]).sum(), leaf)[0]
    return seen[call].detach(), gradient


def layer_map(method: str, activation: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """(u, v) map of one image from its (K, u, v) activation and gradient, channel by channel, position by position."""
    channels, height, width = activation.shape
    result = np.zeros((height, width))
    for k in range(channels):
        a, g = activation[k], gradient[k]
        if method == "grad-cam":
            weight = np.full((height, width), g.mean())
        elif method == "hires-cam":
            weight = g
        elif method == "layer-cam":
            weight = np.maximum(g, 0)
        elif method == "xgrad-cam":
            weight = np.full((height, width), (g * a).sum() / a.sum() if a.sum() != 0 else 0.0)
        elif method == "grad-cam++":
            total = 0.0
            for i in range(height):
                for j in range(width):
                    below = 2 * g[i, j] ** 2 + a.sum() * g[i, j] ** 3
                    share = g[i, j] ** 2 / below if below != 0 else 0.0
                    total += share * max(g[i, j], 0)
            weight = np.full((height, width), total)
        result += weight * a
    return np.maximum(result, 0)


def eigen_map(activation: np.ndarray) -> np.ndarray:
    """(u, v): projection of positions on the first right singular vector, signed to agree with the mean activation."""
    channels, height, width = activation.shape
    matrix = activation.reshape(channels, -1).T
    _, _, rows = np.linalg.svd(matrix, full_matrices=False)
    projected = matrix @ rows[0]
    mean = matrix.mean(axis=1)
    agreement = ((projected - projected.mean()) * (mean - mean.mean())).sum()
    return (projected * (-1 if agreement < 0 else 1)).reshape(height, width)


def upsampled(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear enlargement with half-pixel centres and clamped borders, pixel by pixel."""
    (u, v), (height, width) = values.shape, size
    result = np.zeros(size)
    for i in range(height):
        for j in range(width):
            y = max((i + 0.5) * u / height - 0.5, 0)
            x = max((j + 0.5) * v / width - 0.5, 0)
            top, left = min(int(y), u - 1), min(int(x), v - 1)
            bottom, right = min(top + 1, u - 1), min(left + 1, v - 1)
            dy, dx = y - top, x - left
            upper = values[top, left] * (1 - dx) + values[top, right] * dx
            lower = values[bottom, left] * (1 - dx) + values[bottom, right] * dx
            result[i, j] = upper * (1 - dy) + lower * dy
    return result
