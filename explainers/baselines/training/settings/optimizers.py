"""Optimisers as records: plain values from which torch's own is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from explainers.errors import OptionError


@dataclass(frozen=True)
class Optimizer:
    """What all have.

    lr: learning rate; weight_decay: of the weights, but for those parameters that the network names as `undecayed`;
    parts: other learning rates for parts of the network, by their names, such as {"perception": 1e-4}; of nested parts
    the inner one counts.
    """

    lr: float = 1e-3
    weight_decay: float = 0.0
    parts: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if min([self.lr, *self.parts.values()]) <= 0 or self.weight_decay < 0:
            parts = f"parts={dict(self.parts)}, " if self.parts else ""
            raise OptionError(
                f"lr={self.lr}, {parts}weight_decay={self.weight_decay}; expected learning rates "
                "above 0 and a weight decay of at least 0"
            )

    def make(self, network: nn.Module) -> torch.optim.Optimizer:
        """Torch's optimiser over all parameters, a group for each learning rate, and one for what does not decay.

        Raises:
            OptionError: one of `parts` is none of this network, or torch refuses a number.
        """
        groups = [group for lr, values in self._groups(network) for group in _split(network, values, lr)]
        try:
            return self._of(groups)
        except ValueError as error:
            raise OptionError(f"{self}: {error}") from error

    def settings(self) -> dict[str, Any]:
        """Plain values that tell this optimiser from others."""
        return {"kind": type(self).__name__, **vars(self), "parts": dict(self.parts)}

    def _of(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        raise NotImplementedError

    def _groups(self, network: nn.Module) -> Iterator[tuple[float, list[nn.Parameter]]]:
        names = [name for name, _ in network.named_parameters()]
        for part in self.parts:
            if not any(_belongs(name, part) for name in names):
                tops = ", ".join(dict.fromkeys(name.partition(".")[0] for name in names))
                raise OptionError(f"no parameter is in a part {part!r} of the network; there are {tops}")
        found: dict[str, list[nn.Parameter]] = {"": [], **{part: [] for part in self.parts}}
        for name, parameter in network.named_parameters():
            found[max((part for part in found if _belongs(name, part)), key=len)].append(parameter)
        yield from ((self.parts.get(part, self.lr), values) for part, values in found.items() if values)


@dataclass(frozen=True)
class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)

    def _of(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(groups, lr=self.lr, weight_decay=self.weight_decay, betas=self.betas)


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent with momentum."""

    lr: float = 0.1
    weight_decay: float = 1e-4
    momentum: float = 0.9
    nesterov: bool = False

    def _of(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            groups, lr=self.lr, weight_decay=self.weight_decay, momentum=self.momentum, nesterov=self.nesterov
        )


def _split(network: nn.Module, values: list[nn.Parameter], lr: float) -> Iterator[dict[str, Any]]:
    """The parameters that decay, and behind them those that do not, where there are some."""
    undecayed = {id(network.get_parameter(name)) for name in getattr(network, "undecayed", ())}
    for resting in (False, True):
        chosen = [value for value in values if (id(value) in undecayed) == resting]
        if chosen:
            yield {"params": chosen, "lr": lr, **({"weight_decay": 0.0} if resting else {})}


def _belongs(name: str, part: str) -> bool:
    """Whether a parameter is in a part, "" being the whole network; layer1 does not contain layer10."""
    return not part or f"{name}.".startswith(f"{part}.")
