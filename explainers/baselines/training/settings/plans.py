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
    """One way to make an update of the weights, with a forward pass of its own.

    losses: their names, or None for all; frozen: beginnings of names of what stays as it is; optimizer: which one takes
    the step, each name having moments of its own; attention: a number in 0 … 1 that stands in every cell in place of
    the network's map, whose branch is not run then, or None.
    """

    losses: tuple[str, ...] | None = None
    frozen: tuple[str, ...] = ()
    optimizer: str = "optimizer"
    attention: float | None = None

    def __post_init__(self) -> None:
        _checked(losses=self.losses, frozen=self.frozen)
        if self.attention is not None and not 0 <= self.attention <= 1:
            raise OptionError(
                f"attention={self.attention}; expected a number in 0 … 1, or None for the network's own map"
            )


class Plan(ABC):
    """From the moment in a training to what happens there."""

    @abstractmethod
    def stage(self, epoch: int, step: int) -> Stage:
        """Of a step, both counted from 0; step counts within the epoch."""

    def updates(self, epoch: int, step: int) -> tuple[Stage, ...]:
        """What is made of one batch, one update after the other."""
        return (self.stage(epoch, step),)

    def judged(self, epoch: int) -> bool:
        """Whether the network is validated after this epoch, and may be the best."""
        return True

    @abstractmethod
    def stages(self) -> tuple[Stage, ...]:
        """All that can come, so that a mistake in one is found before the first."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Plain values that tell this plan from others."""


@dataclass(frozen=True)
class Throughout(Plan):
    """The same from beginning to end; `frozen=("features",)` trains the branches alone.

    With all losses, those that stand apart (`Loss.apart`) get an update of their own of each batch, see `Together`.
    """

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
            told = [(epochs, plain_stage(stage)) for epochs, stage in self.parts]
            raise OptionError(f"phases {told}; expected (epochs, Stage) with at least one epoch each")

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
        return {"kind": "Phases", "parts": [[epochs, plain_stage(stage)] for epochs, stage in self.parts]}


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
        return {"kind": "Alternating", "every": self.every, "parts": [plain_stage(stage) for stage in self.parts]}


@dataclass(frozen=True)
class Together(Plan):
    """Several updates of every batch, each with a forward pass of its own, such as a second one on a complement loss.

    Source: as complement objective training (Chen et al. 2019) trains.
    """

    parts: tuple[Stage, ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise OptionError("a plan of no stages; expected at least one")

    def stage(self, epoch: int, step: int) -> Stage:
        """The first of each batch."""
        return self.parts[0]

    def updates(self, epoch: int, step: int) -> tuple[Stage, ...]:
        """All of them, in their order."""
        return self.parts

    def stages(self) -> tuple[Stage, ...]:
        """In their order."""
        return self.parts

    def settings(self) -> dict[str, Any]:
        """The stages in their order."""
        return {"kind": "Together", "parts": [plain_stage(stage) for stage in self.parts]}


@dataclass(frozen=True)
class AlternativeEpochs(Plan):
    """Pairs of epochs: in the first the map is 1 everywhere and what makes it rests, in the second all learns.

    What rests has no gradient, its moments and its batch norm statistics stay, as the alternative epoch architect is
    described (its published code lets the statistics drift). Validated after each pair.

    Args:
        rests: beginnings of names of what makes the map; losses: of the first epoch of a pair, on the perception
        branch.

    Source: Hirano et al. 2024 (ALA).
    """

    rests: tuple[str, ...] = ("attention",)
    losses: tuple[str, ...] = ("perception",)

    def __post_init__(self) -> None:
        _checked(rests=self.rests, losses=self.losses)

    def stage(self, epoch: int, step: int) -> Stage:
        """By the epoch: even ones, counted from 0, are the first of a pair."""
        return self.stages()[epoch % 2]

    def judged(self, epoch: int) -> bool:
        """Behind the second of each pair."""
        return epoch % 2 == 1

    def stages(self) -> tuple[Stage, ...]:
        """The two epochs of a pair."""
        return Stage(self.losses, self.rests, attention=1.0), Stage()

    def settings(self) -> dict[str, Any]:
        """What rests, and what is learnt meanwhile."""
        return {"kind": "AlternativeEpochs", **vars(self)}


def plain_stage(stage: Stage) -> dict[str, Any]:
    """A stage's plain values; what was never set is left out, so that older trainings go on."""
    return {
        "losses": stage.losses,
        "frozen": stage.frozen,
        **({"optimizer": stage.optimizer} if stage.optimizer != Stage.optimizer else {}),
        **({"attention": stage.attention} if stage.attention is not None else {}),
    }


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
            raise OptionError(
                f"frozen={each!r} (--freeze {each}): no part of the network is called so; there are {tops}"
            )
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
