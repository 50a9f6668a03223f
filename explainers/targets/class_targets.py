"""Targets made of class scores: one class, or one class rather than another."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from explainers.errors import TargetError
from explainers.passes.activation import Reading
from explainers.targets.answer import Answer
from explainers.targets.target import Target

NEXT = "next"  # the best class but the one that is explained


@dataclass(frozen=True)
class ClassScore(Target):
    """The score of a class; f(x) is its probability. `ClassScore(3)` is what `targets=3` is short for.

    Args:
        index: the class; None is the predicted one.
    """

    quantity = "probability"
    reads_classes = True

    index: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", as_class("ClassScore", self.index))

    @property
    def settled(self) -> bool:
        """Unless the predicted class is meant."""
        return self.index is not None

    def settle(self, answer: Answer) -> ClassScore:
        """The predicted class for None."""
        settled = ClassScore(int(answer.scores[0].argmax())) if self.index is None else self
        check_in_range(settled.index, answer.scores)
        return settled

    def score(self, answer: Answer) -> Tensor:
        """The class's column."""
        return answer.scores[:, check_in_range(self.index, answer.scores)]

    def watched(self, answer: Answer) -> Tensor:
        """Its probability."""
        return answer.values[:, check_in_range(self.index, answer.scores)]

    def coefficients(self, classes: int) -> dict[int, float] | None:
        """The class once."""
        return None if self.index is None else {self.index: 1.0}

    def label(self, class_names: Sequence[str] | None = None) -> str:
        """The class's name."""
        return class_label(self.index, class_names)


@dataclass(frozen=True)
class Difference(Target):
    """Why class c rather than class d: s_c − γ s_d; f(x) is the same of probabilities.

    The target of Finer-CAM (Zhang et al. 2025), here for every method. With γ = 0 it is `ClassScore(c)`.

    Args:
        index: the class c; None is the predicted one.
        other: the class d; "next" is the best class but c.
        gamma: γ, at least 0.
    """

    quantity = "difference"
    reads_classes = True

    index: int | None = None
    other: int | str = NEXT
    gamma: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", as_class("Difference", self.index))
        if self.other != NEXT:
            object.__setattr__(self, "other", as_class("Difference", self.other))
            if self.other is None:
                raise TargetError('Difference: the other class is None; pass its index or "next"')
        if (
            isinstance(self.gamma, bool)
            or not isinstance(self.gamma, (int, float))
            or not 0 <= self.gamma < float("inf")
        ):
            raise TargetError(f"Difference: gamma={self.gamma!r}; expected a number of at least 0")
        object.__setattr__(self, "gamma", float(self.gamma))
        if self.index is not None and self.index == self.other and self.gamma == 1:
            raise TargetError(f"Difference: class {self.index} minus itself is 0 everywhere")

    @property
    def settled(self) -> bool:
        """Whether both classes are named."""
        return self.index is not None and self.other != NEXT

    def settle(self, answer: Answer) -> Difference:
        """The predicted class for None, the best of the others for "next"."""
        scores = answer.scores.detach()[0]
        if len(scores) < 2:
            raise TargetError("Difference needs two classes, and the network has one score")
        index = int(scores.argmax()) if self.index is None else check_in_range(self.index, answer.scores)
        other: Any = self.other
        if other == NEXT:
            other = next(each for each in scores.argsort(descending=True).tolist() if each != index)
        check_in_range(other, answer.scores)
        return replace(self, index=index, other=other)

    def score(self, answer: Answer) -> Tensor:
        """s_c − γ s_d."""
        return self._of(answer.scores)

    def watched(self, answer: Answer) -> Tensor:
        """p_c − γ p_d."""
        return self._of(answer.values)

    def _of(self, values: Tensor) -> Tensor:
        first = values[:, check_in_range(self.index, values)]
        if self.gamma == 0:  # to the bit, also where the other score is −0 or infinite
            return first
        return first - self.gamma * values[:, check_in_range(self.other, values)]

    def coefficients(self, classes: int) -> dict[int, float] | None:
        """1 and −γ."""
        if not self.settled or self.index is None or isinstance(self.other, str):
            return None
        found = {self.index: 1.0}
        if self.gamma:
            found[self.other] = found.get(self.other, 0.0) - self.gamma
        return found

    def meaning(self, classes: Reading | None) -> str:
        """A difference, and of what."""
        return (
            "a difference of two classes, at most 1 of probabilities, and below 0 where the other wins; "
            f"{super().meaning(classes)}"
        )

    def label(self, class_names: Sequence[str] | None = None) -> str:
        """c - d, or c - γ d."""
        factor = "" if self.gamma == 1 else f"{self.gamma:g} "
        other = self.other if isinstance(self.other, str) else class_label(self.other, class_names)
        return f"{class_label(self.index, class_names)} - {factor}{other}"


def as_index(given: Any) -> Any:
    """A whole number as torch, NumPy and others have it as an int; anything else as it is."""
    try:
        return given if isinstance(given, (bool, type(None))) else operator.index(given)
    except TypeError:
        return given


def as_class(name: str, index: Any) -> int | None:
    """A class as an int, such as `found.labels[0]`.

    Raises:
        TargetError: neither None nor an index.
    """
    index = as_index(index)
    if index is not None and (isinstance(index, bool) or not isinstance(index, int) or index < 0):
        raise TargetError(f"{name}: class {index!r}; expected an index from 0, or None for the predicted class")
    return index


def check_in_range(index: Any, scores: Tensor) -> int:
    """The class, which the network has.

    Raises:
        TargetError: it does not.
    """
    if not isinstance(index, int):
        raise TargetError(f"class {index!r} is not settled: settle the target on the unperturbed image first")
    if index >= scores.shape[1]:
        raise TargetError(f"target {index} is out of range: the network has classes 0 … {scores.shape[1] - 1}")
    return index


def class_label(index: int | None, class_names: Sequence[str] | None) -> str:
    """A class as tables call it."""
    if index is None:
        return "predicted"
    return class_names[index] if class_names is not None and index < len(class_names) else f"class {index}"
