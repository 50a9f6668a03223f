"""Learning rates over epochs, and when to stop: functions of the validation losses so far, so nothing is remembered.

A loss of None stands for an epoch after which the network was not validated.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from explainers.errors import OptionError


class Schedule(ABC):
    """By what the learning rate is multiplied in the epoch after these validation losses."""

    floor: float = 0.0  # no learning rate falls below it
    endless: ClassVar[bool] = False  # whether an epoch's rate does not depend on how many are to come

    @abstractmethod
    def scale(self, losses: Sequence[float | None], epochs: int) -> float:
        """A factor in 0 … 1 for epoch `len(losses)` (the first is 0) of `epochs`."""

    def settings(self) -> dict[str, Any]:
        """Plain values that tell this schedule from others."""
        return {"kind": type(self).__name__, **vars(self)}


@dataclass(frozen=True)
class Constant(Schedule):
    """The same learning rate throughout."""

    endless = True

    def scale(self, losses: Sequence[float | None], epochs: int) -> float:
        """1."""
        return 1.0


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from 1 down to 0, after `warmup` epochs in which it rises in equal steps.

    Source: Loshchilov and Hutter 2017, without restarts.
    """

    warmup: int = 0
    floor: float = 0.0

    def __post_init__(self) -> None:
        if self.warmup < 0 or self.floor < 0:
            raise OptionError(f"warmup={self.warmup}, floor={self.floor}; expected at least 0")

    def scale(self, losses: Sequence[float | None], epochs: int) -> float:
        """By the epoch alone."""
        epoch = len(losses)
        if epoch < self.warmup:
            return (epoch + 1) / (self.warmup + 1)
        return 0.5 * (1 + math.cos(math.pi * (epoch - self.warmup) / max(epochs - self.warmup, 1)))


@dataclass(frozen=True)
class Milestones(Schedule):
    """Multiplied by `factor` from each of these shares of the epochs on, such as 0.5 and 0.75."""

    at: tuple[float, ...] = (0.5, 0.75)
    factor: float = 0.1
    floor: float = 0.0

    def __post_init__(self) -> None:
        if not all(0 <= share <= 1 for share in self.at):
            raise OptionError(f"at={self.at}; expected shares of the epochs in 0 … 1, such as 0.5")
        if not 0 < self.factor < 1 or self.floor < 0:
            raise OptionError(
                f"factor={self.factor}, floor={self.floor}; expected a factor in 0 … 1 and no negative floor"
            )

    def scale(self, losses: Sequence[float | None], epochs: int) -> float:
        """By the epoch alone."""
        return self.factor ** sum(len(losses) >= round(share * epochs) for share in self.at)


@dataclass(frozen=True)
class Polynomial(Schedule):
    """(1 − epoch / epochs) to a power: 1 falls in a straight line, less keeps the rate up for longer.

    Source: the "poly" policy of Chen et al. 2018 (DeepLab), whose power is the default.
    """

    power: float = 0.9
    floor: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.power < math.inf or self.floor < 0:
            raise OptionError(f"power={self.power}, floor={self.floor}; expected a positive power, no negative floor")

    def scale(self, losses: Sequence[float | None], epochs: int) -> float:
        """By the epoch alone."""
        return max(0.0, 1 - len(losses) / epochs) ** self.power


@dataclass(frozen=True)
class Plateau(Schedule):
    """Multiplied by `factor` whenever more than `patience` epochs in a row have not improved the validation loss.

    An improvement is one by more than a share of `threshold`, as in torch's ReduceLROnPlateau.
    """

    factor: float = 1 / 3
    patience: int = 2
    floor: float = 1e-6
    threshold: float = 1e-4
    endless = True

    def __post_init__(self) -> None:
        if not 0 < self.factor < 1 or self.floor < 0:
            raise OptionError(
                f"factor={self.factor}, floor={self.floor}; expected a factor in 0 … 1 and no negative floor"
            )
        if self.patience < 0 or not 0 <= self.threshold < 1:
            raise OptionError(f"patience={self.patience}, threshold={self.threshold}; expected at least 0, and below 1")

    def scale(self, losses: Sequence[float | None], epochs: int) -> float:
        """Replays the losses."""
        scale, best, bad = 1.0, math.inf, 0
        for loss in losses:
            if loss is None:
                continue
            if loss < best * (1 - self.threshold):
                best, bad = loss, 0
            else:
                bad += 1
            if bad > self.patience:
                scale, bad = scale * self.factor, 0
        return scale


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "cosine": Cosine,
    "milestones": Milestones,
    "plateau": Plateau,
    "polynomial": Polynomial,
}


def best_epoch(losses: Sequence[float | None]) -> int:
    """The first epoch with the lowest validation loss.

    Raises:
        OptionError: there are none.
    """
    known = [epoch for epoch, loss in enumerate(losses) if loss is not None]
    if not known:
        raise OptionError("no epoch has been validated")
    return min(known, key=lambda epoch: _lowest(losses[epoch]))


def exhausted(losses: Sequence[float | None], patience: int | None) -> bool:
    """Whether `patience` validated epochs have passed since the best one; never, with None."""
    if patience is None or all(loss is None for loss in losses):
        return False
    since = losses[best_epoch(losses) + 1 :]
    return sum(loss is not None for loss in since) >= patience


def _lowest(loss: float | None) -> float:
    return math.inf if loss is None or math.isnan(loss) else loss
