"""One small network with its nonlinearity written in every way: ReLUs that code spells, and units that are no ReLU."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from network_case import RECTIFIED, Case
from torch import Tensor, nn

Unit = Callable[[Tensor], Tensor]


class Spelled(nn.Module):
    """Three convolutions with a unit behind each, global average pooling, a linear layer."""

    def __init__(self, unit: Unit = F.relu, first: Unit | None = None, classes: int = 5, channels: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 6, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(6, 8, 3, stride=2, padding=1)
        self.conv3 = nn.Conv2d(8, 10, 3, padding=1)
        self.head = nn.Linear(10, classes)
        self.unit, self.first = unit, first or unit

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.first(self.conv1(x)))
        x = self.unit(self.conv3(self.unit(self.conv2(x))))
        return self.head(x.mean((2, 3)))


class RectifierFunction(torch.autograd.Function):
    """A ReLU that somebody wrote themselves."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad * (x > 0)


class OwnReLU(nn.ReLU):
    """A subclass that people use to count or to log."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 0


class LeakySubclass(nn.ReLU):
    """A ReLU by its class, a leaky unit by what it does."""

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, 0.2)


def indexed(x: Tensor) -> Tensor:
    y = x.clone()
    y[y < 0] = 0
    return y


RELU: dict[str, Unit] = {
    "F.relu(x)": F.relu,
    "F.relu(x, inplace=True)": partial(F.relu, inplace=True),
    "torch.relu(x)": torch.relu,
    "torch.relu_(x)": torch.relu_,
    "x.relu()": lambda x: x.relu(),
    "x.relu_()": lambda x: x.relu_(),
    "x.clamp(min=0)": lambda x: x.clamp(min=0),
    "x.clamp_(min=0)": lambda x: x.clamp_(min=0),
    "torch.clamp(x, min=0)": lambda x: torch.clamp(x, min=0),
    "x.clamp_min(0)": lambda x: x.clamp_min(0),
    "x.clip(0)": lambda x: x.clip(0),
    "torch.clamp(x, zero tensor)": lambda x: torch.clamp(x, min=x.new_zeros(())),
    "F.threshold(x, 0, 0)": lambda x: F.threshold(x, 0, 0),
    "torch.threshold_(x, 0, 0)": lambda x: torch.threshold_(x, 0, 0),
    "relu twice": lambda x: F.relu(F.relu(x)),
}
RELU6: dict[str, Unit] = {
    "F.relu6(x)": F.relu6,
    "torch.clamp(x, 0, 6)": lambda x: torch.clamp(x, 0, 6),
    "F.hardtanh(x, 0, 6)": lambda x: F.hardtanh(x, 0, 6),
    "F.hardtanh_(x, 0, 6)": lambda x: F.hardtanh_(x, 0, 6),
}
# ReLUs that leave no rectifier in the graph: refusing is as good as being right, passing over them is neither.
HIDDEN: dict[str, Unit] = {
    "torch.maximum(x, 0)": lambda x: torch.maximum(x, torch.zeros_like(x)),
    "torch.fmax(x, 0)": lambda x: torch.fmax(x, x.new_zeros(())),
    "torch.max(0, x)": lambda x: torch.max(x.new_zeros(1), x),
    "torch.clamp_min(x, zero tensor)": lambda x: torch.clamp_min(x, x.new_zeros(())),
    "torch.where(x > 0, x, 0)": lambda x: torch.where(x > 0, x, 0),
    "torch.where(x < 0, 0, x)": lambda x: torch.where(x < 0, torch.zeros_like(x), x),
    "x * (x > 0)": lambda x: x * (x > 0),
    "x * (x > 0).float()": lambda x: x * (x > 0).to(x.dtype),
    "x.masked_fill(x < 0, 0)": lambda x: x.masked_fill(x < 0, 0),
    "x[x < 0] = 0": indexed,
    "(x + x.abs()) / 2": lambda x: (x + x.abs()) / 2,
    "F.leaky_relu(x, 0)": lambda x: F.leaky_relu(x, 0.0),
    "autograd.Function": RectifierFunction.apply,
    "F.elu(x, alpha=0)": lambda x: F.elu(x, 0.0),
}
SMOOTH: dict[str, Unit] = {
    "GELU": F.gelu,
    "GELU (tanh)": partial(F.gelu, approximate="tanh"),
    "SiLU": F.silu,
    "x * sigmoid(x)": lambda x: x * torch.sigmoid(x),
    "LeakyReLU": lambda x: F.leaky_relu(x, 0.1),
    "ELU": F.elu,
    "SELU": F.selu,
    "Softplus": F.softplus,
    "Hardswish": F.hardswish,
    "x * relu6(x + 3) / 6": lambda x: x * F.relu6(x + 3) / 6,
    "Mish": F.mish,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "hardtanh": F.hardtanh,
    "Softsign": F.softsign,
}
COMMON: dict[str, Any] = {"layer": "conv3", "chain": True, "linear": "head", "cap": math.inf}
# Where the unit is a module, its third run is the last spatial layer.
MODULE: dict[str, Any] = {"layer": "unit#2", "chain": True, "linear": "head"}


def respelled(unit: Unit, first: Unit | None = None) -> Callable[[nn.Module, Tensor], nn.Module]:
    def wrap(network: nn.Module, images: Tensor) -> nn.Module:
        network.unit, network.first = unit, first or unit  # type: ignore[assignment]
        return network

    return wrap


def spelled(name: str, unit: Unit, plain: Unit, **facts: Any) -> Case:
    return Case(name, "spelling", partial(Spelled, plain), wrap=respelled(unit), **{**COMMON, **facts})


def _all() -> tuple[Case, ...]:
    hidden, no_cam = RECTIFIED, {**COMMON, "linear": None}
    cases = [spelled(name, unit, F.relu) for name, unit in RELU.items()]
    cases += [spelled(name, unit, F.relu6, cap=6.0, either=frozenset({"cam"})) for name, unit in RELU6.items()]
    cases += [spelled(name, unit, F.relu, either=hidden) for name, unit in HIDDEN.items()]
    cases += [
        Case(f"{name} beside nn.ReLU", "spelling", Spelled, wrap=respelled(unit, nn.ReLU()), either=hidden, **COMMON)
        for name, unit in HIDDEN.items()
    ]
    for name, unit in SMOOTH.items():
        facts = {**no_cam, "rectifiers": "smooth"}
        if name == "x * relu6(x + 3) / 6":  # the gate is a ReLU by the letter, the unit is smooth
            facts |= {"rectifiers": "strict", "either": hidden}
        cases.append(Case(name, "unit", partial(Spelled, unit), **facts))
    for name in ("Hardswish", "LeakyReLU", "GELU", "SiLU"):
        cases.append(Case(f"{name} beside ReLU", "unit", partial(Spelled, SMOOTH[name], F.relu),
                          **{**no_cam, "rectifiers": "mixed"}))  # fmt: skip
    for name in ("tanh", "sigmoid"):
        cases.append(Case(f"ReLU with {name}", "unit", partial(Spelled, SMOOTH[name], F.relu), **no_cam))
    cases += [
        Case("nn.ReLU6", "spelling", lambda: Spelled(nn.ReLU6()), **MODULE),
        Case("ReLU subclass", "spelling", lambda: Spelled(OwnReLU()), **MODULE),
        Case("ReLU subclass that leaks", "unit", lambda: Spelled(LeakySubclass()), rectifiers="smooth", **MODULE),
        Case("PReLU", "unit", lambda: Spelled(nn.PReLU()), rectifiers="smooth", **MODULE),
        Case("PReLU beside ReLU", "unit", lambda: Spelled(nn.PReLU(), F.relu), rectifiers="mixed",
             **{**MODULE, "layer": "unit#1"}),
    ]  # fmt: skip
    return tuple(cases)


SPELLINGS = _all()
