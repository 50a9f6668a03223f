"""Which parts of a network learn and which losses count, in each step of a training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn

from explainers.errors import OptionError


def _checked(**several: Any) -> None:
    """A bare text would be read letter by letter."""
    for name, value in several.items():
        if isinstance(value, str):
            raise OptionError(f"{name}={value!r}; expected several, such as ({value!r},)")


@dataclass(frozen=True)
class Stage:
    """One way to train. losses: their names, or None for all; frozen: beginnings of names of what stays as it is."""

    losses: tuple[str, ...] | None = None
    frozen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _checked(losses=self.losses, frozen=self.frozen)


class Plan(ABC):
    """From the moment in a training to what happens there."""

    @abstractmethod
    def stage(self, epoch: int, step: int) -> Stage:
        """Of a step, both counted from 0; step counts within the epoch."""

    @abstractmethod
    def stages(self) -> tuple[Stage, ...]:
        """All that can come, so that a mistake in one is found before the first."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Plain values that tell this plan from others."""


@dataclass(frozen=True)
class Throughout(Plan):
    """The same from beginning to end; `frozen=("features",)` trains the branches alone."""

    losses: tuple[str, ...] | None = None
    frozen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _checked(losses=self.losses, frozen=self.frozen)

    def stage(self, epoch: int, step: int) -> Stage:
        """Always the same."""
        return Stage(self.losses, self.frozen)

    def stages(self) -> tuple[Stage, ...]:
        """The only one."""
        return (self.stage(0, 0),)

    def settings(self) -> dict[str, Any]:
        """Losses and frozen parts."""
        return {"kind": "Throughout", **vars(self)}


@dataclass(frozen=True)
class Phases(Plan):
    """Stages one after the other: ((5, first), (0, second)) trains five epochs by the first, the rest by the last."""

    parts: tuple[tuple[int, Stage], ...]

    def __post_init__(self) -> None:
        if not self.parts or any(epochs < 1 for epochs, _ in self.parts[:-1]):
            raise OptionError(f"phases {self.parts}; expected (epochs, Stage) with at least one epoch each")

    def stage(self, epoch: int, step: int) -> Stage:
        """By the epoch."""
        for epochs, stage in self.parts[:-1]:
            if epoch < epochs:
                return stage
            epoch -= epochs
        return self.parts[-1][1]

    def stages(self) -> tuple[Stage, ...]:
        """In their order."""
        return tuple(stage for _, stage in self.parts)

    def settings(self) -> dict[str, Any]:
        """Each phase's epochs, losses and frozen parts."""
        return {"kind": "Phases", "parts": [[epochs, vars(stage)] for epochs, stage in self.parts]}


@dataclass(frozen=True)
class Alternating(Plan):
    """Stages in turn, a new one every epoch or every step."""

    parts: tuple[Stage, ...]
    every: str = "epoch"

    def __post_init__(self) -> None:
        if not self.parts or self.every not in ("epoch", "step"):
            raise OptionError(
                f"every={self.every!r} with {len(self.parts)} stages; expected 'epoch' or 'step', and at least "
                "one stage"
            )

    def stage(self, epoch: int, step: int) -> Stage:
        """By the epoch or the step, modulo the number of stages."""
        return self.parts[(epoch if self.every == "epoch" else step) % len(self.parts)]

    def stages(self) -> tuple[Stage, ...]:
        """In their order."""
        return self.parts

    def settings(self) -> dict[str, Any]:
        """The stages in their order."""
        return {"kind": "Alternating", "every": self.every, "parts": [vars(stage) for stage in self.parts]}


@contextmanager
def frozen(network: nn.Module, beginnings: Sequence[str]) -> Iterator[None]:
    """Inside, parameters with these beginnings need no gradient, and their modules' batch norm is not updated.

    An optimiser passes over parameters without gradient, so their state and their weight decay rest as well.

    Raises:
        OptionError: nothing begins so.
    """
    parts = {
        each: [(name, module) for name, module in network.named_modules() if f"{name}.".startswith(f"{each}.")]
        for each in beginnings
    }
    for each, found in parts.items():
        if not found:
            tops = ", ".join(name for name, _ in network.named_children())
            raise OptionError(f"frozen={each!r}: no part of the network is called so; there are {tops}")
    modules = [module for found in parts.values() for _, module in found]
    parameters = {id(value): value for module in modules for value in module.parameters()}.values()
    before = [(value, value.requires_grad) for value in parameters]
    modes = [(module, module.training) for module in modules]
    try:
        for value, _ in before:
            value.requires_grad_(False)
            value.grad = None
        for module, _ in modes:
            module.training = False
        yield
    finally:
        for value, needed in before:
            value.requires_grad_(needed)
        for module, training in modes:
            module.training = training
