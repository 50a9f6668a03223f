"""Activations that random networks draw: ReLUs in many spellings, and smooth or leaky ones that no rule of ReLUs fits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Unit = Callable[[Tensor], Tensor]


def _in_a_view(x: Tensor) -> Tensor:
    part = x[:]
    part.relu_()
    return x


def _in_two_views(x: Tensor) -> Tensor:
    x[:, ::2].clamp_(min=0)
    x[:, 1::2].clamp_(min=0)
    return x


def _chosen(x: Tensor) -> Tensor:
    return torch.stack([torch.zeros_like(x), x]).gather(0, (x > 0).long()[None])[0]


def _soft_choice(x: Tensor) -> Tensor:
    return x * torch.softmax(torch.stack([x, torch.zeros_like(x)]), 0)[0]


def _put_in(x: Tensor) -> Tensor:
    y = x.clone()
    y[y < 0] = 0
    return y


# None that takes positions apart, or whose gradient is another one than that of its values, as behind `detach()`: plain
# answers have no such layers. `test_rectifiers_by_value.py` has them.
RELUS: dict[str, Unit] = {
    "x * (x > 0)": lambda x: x * (x > 0),
    "x * (x > 0).to(x)": lambda x: x * (x > 0).to(x),
    "x * heaviside(x)": lambda x: x * torch.heaviside(x.detach(), x.new_zeros(())),
    "x - x.clamp(max=0)": lambda x: x - x.clamp(max=0),
    "-(-x).clamp(max=0)": lambda x: -(-x).clamp(max=0),
    "-minimum(-x, 0)": lambda x: -torch.minimum(-x, x.new_zeros(())),
    "maximum(x, 0)": lambda x: torch.maximum(x, torch.zeros_like(x)),
    "where(x > 0, x, 0)": lambda x: torch.where(x > 0, x, 0),
    "where(x > 0, x, 0 * x)": lambda x: torch.where(x > 0, x, 0 * x),
    "stack([x, 0]).amax(0)": lambda x: torch.stack([x, torch.zeros_like(x)]).amax(0),
    "stack([x, 0]).max(0).values": lambda x: torch.stack([x, torch.zeros_like(x)]).max(0).values,
    "addcmul(0, x, x > 0)": lambda x: torch.addcmul(torch.zeros_like(x), x, (x > 0).to(x)),
    "0.masked_scatter(x > 0, x)": lambda x: torch.zeros_like(x).masked_scatter(x > 0, x[x > 0]),
    "x.masked_fill(x < 0, 0)": lambda x: x.masked_fill(x < 0, 0),
    "(x + |x|) / 2": lambda x: (x + x.abs()) / 2,
    "leaky_relu(x, 0)": lambda x: F.leaky_relu(x, 0.0),
    "prelu(x, 0)": lambda x: F.prelu(x, x.new_zeros(1)),
    "x[:].relu_()": _in_a_view,
    "two views of x": _in_two_views,
    "y[y < 0] = 0": _put_in,
    "threshold(x, 0, 0)": lambda x: F.threshold(x, 0, 0),
    "x[x > 0 or not]": _chosen,
    "einsum(x, x > 0)": lambda x: torch.einsum("...,...->...", x, (x > 0).to(x)),
    "pooled [x, 0]": lambda x: F.max_pool1d(torch.stack([x, 0 * x], -1).view(-1, 1, 2), 2).view_as(x),
    "x.lerp(0, x < 0)": lambda x: x.lerp(torch.zeros_like(x), (x < 0).to(x)),
}
OTHERS: dict[str, Unit] = {
    "gelu": F.gelu,
    "silu": F.silu,
    "silu_": lambda x: F.silu(x, inplace=True),
    "silu of a view, in place": lambda x: (F.silu(x[:], inplace=True), x)[1],
    "x * sigmoid(x)": lambda x: x * torch.sigmoid(x),
    "x * softmax([x, 0])": _soft_choice,
    "glu([x, x])": lambda x: F.glu(torch.cat([x, x], 1), 1),
    "-log_softmax([x, 0])": lambda x: -torch.stack([x, torch.zeros_like(x)]).log_softmax(0)[1],
    "x * Phi(x)": lambda x: x * 0.5 * (1 + torch.erf(x / 2**0.5)),
    "maximum(x, x / 10)": lambda x: torch.maximum(x, 0.1 * x),
    "where(x > 0, x, x / 10)": lambda x: torch.where(x > 0, x, 0.1 * x),
    "leaky_relu": lambda x: F.leaky_relu(x, 0.1),
    "leaky_relu_": lambda x: F.leaky_relu_(x, 0.1),
    "elu_": F.elu_,
    "hardswish": F.hardswish,
    "softplus": F.softplus,
    "mish": F.mish,
}
OF_RELUS: dict[str, Unit] = {  # another function, made of ReLUs: the rule holds at each
    "relu(x) - relu(-x) / 10": lambda x: F.relu(x) - 0.1 * F.relu(-x),
    "relu(x) + relu(x - 1)": lambda x: F.relu(x) + F.relu(x - 1),
}


class Spelled(nn.Module):
    """A unit by its spelling.

    plainly: one of RELUS computes `torch.relu`, which answers made by hand replace; the value is the same.
    """

    def __init__(self, spelling: str) -> None:
        super().__init__()
        self.spelling, self.plainly = spelling, False

    def forward(self, x: Tensor) -> Tensor:
        if self.plainly and self.spelling in RELUS:
            return torch.relu(x)
        return {**RELUS, **OF_RELUS, **OTHERS}[self.spelling](x)

    def extra_repr(self) -> str:
        return self.spelling


def plainly(network: nn.Module, value: bool) -> nn.Module:
    """The network, its spelled units set so."""
    for module in network.modules():
        if isinstance(module, Spelled):
            module.plainly = value
    return network


def only_relus(network: nn.Module) -> bool:
    """Whether no unit of a random network is another one than a ReLU."""
    return not any(isinstance(module, Spelled) and module.spelling in OTHERS for module in network.modules())


def _spelled(names: dict[str, Unit]) -> tuple[Callable[[], Any], ...]:
    return tuple(lambda name=name: Spelled(name) for name in names)


PLAIN: tuple[Callable[[], Any], ...] = (nn.ReLU, lambda: nn.ReLU(inplace=True), lambda: F.relu, lambda: torch.relu_)
RECTIFIERS = (
    *PLAIN * 8,
    *_spelled(RELUS),
    *_spelled(OF_RELUS),
)  # most networks have one spelling that is closed, however few are drawn
SMOOTH = _spelled(OTHERS)
