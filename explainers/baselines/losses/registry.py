"""The losses by their names, as a command line takes them; their options are plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

from explainers.baselines.losses.loss import CrossEntropy, Loss
from explainers.core.name_table import Names, refuse_unknown
from explainers.core.option_types import refuse_unfit

LOSSES: Names[type[Loss]] = Names("loss")
Record = TypeVar("Record", bound=type[Loss])


def register_loss(name: str) -> Callable[[Record], Record]:
    """Decorator: makes a dataclass known under a name. A name taken twice is an error."""

    def keep(cls: Record) -> Record:
        LOSSES.add(name, cls)
        return cls

    return keep


def available_losses() -> tuple[str, ...]:
    """Their names, sorted."""
    return tuple(LOSSES)


def loss_options(name: str) -> dict[str, Any]:
    """The options of a loss with their defaults.

    Raises:
        OptionError: no such loss.
    """
    return {each.name: each.default for each in fields(LOSSES.find(name))}  # type: ignore[arg-type]


def create_loss(name: str, **options: Any) -> Loss:
    """A loss by name: `create_loss("size-barrier", weight=0.2)`.

    Raises:
        OptionError: an unknown name, an option that this loss does not have, or a value that does not fit it.
    """
    cls = LOSSES.find(name)
    refuse_unknown(name, options, loss_options(name))
    refuse_unfit(name, options, cls.__init__)
    return cls(**options)


register_loss("cross-entropy")(CrossEntropy)
