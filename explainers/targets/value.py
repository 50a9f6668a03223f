"""A number that a network estimates, raised or lowered."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from torch import Tensor

from explainers.errors import OutputError, TargetError
from explainers.network.output import describe
from explainers.targets.answer import Answer
from explainers.targets.class_targets import as_index
from explainers.targets.target import Target


@dataclass(frozen=True)
class Value(Target):
    """A value of a regression network, as it is: no activation is applied.

    Args:
        index: which of the values (N, values) of the network; (N,) is one value.
        lowered: explain what lowers the value instead: the score is −value.
    """

    quantity = "value"

    index: int = 0
    lowered: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", as_index(self.index))
        if isinstance(self.index, bool) or not isinstance(self.index, int) or self.index < 0:
            raise TargetError(f"Value: index {self.index!r}; expected a whole number from 0")

    def score(self, answer: Answer) -> Tensor:
        """The value, or −value."""
        values = answer.picked
        if isinstance(values, Tensor) and values.ndim == 1 and len(values) == answer.count:
            values = values[:, None]
        elif not isinstance(values, Tensor) or values.ndim != 2:
            values = answer.scores  # which says what is wrong, or finds the only (N, values) of several
        if len(values) != answer.count or not values.is_floating_point():
            raise OutputError(f"Value needs values (N, values), and the network returned {describe(values)}")
        if self.index >= values.shape[1]:
            raise TargetError(
                f"Value({self.index}) is out of range: the network gives values 0 … {values.shape[1] - 1}"
            )
        return -values[:, self.index] if self.lowered else values[:, self.index]

    @property
    def kind(self) -> Hashable:
        """Each value may come out of a head of its own."""
        return Value, self.index

    def label(self, class_names: Sequence[str] | None = None) -> str:
        """value i, lowered."""
        named = class_names is not None and self.index < len(class_names)
        return (
            class_names[self.index] if named and class_names else f"value {self.index}"
        ) + ", lowered" * self.lowered
