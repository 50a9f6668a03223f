"""What a function makes of a network's output: the class that it chooses, or a number of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from explainers.errors import OutputError, TargetError
from explainers.network.output import describe
from explainers.passes.own_source import name_of
from explainers.targets.answer import Answer
from explainers.targets.class_targets import ClassScore
from explainers.targets.function import Function
from explainers.targets.target import Target


class NotClasses(TargetError):
    """A function that was passed as targets does not choose classes of scores (N, classes).

    why: in one clause, without what could be passed instead.
    """

    def __init__(self, why: str, instead: str = "") -> None:
        super().__init__(f"{why}{instead}")
        self.why = why


def chosen_classes(choose: Callable[[Tensor], Any], scores: Tensor) -> Any:
    """The classes that a function chooses of scores (N, classes), as it gave them.

    Raises:
        NotClasses: it gives something else, or fails on scores (N, classes).
    """
    told, own = f"targets={name_of(choose)}", "; for a number of your own pass explainers.targets.Function(f)"
    try:
        classes = choose(scores.detach())
    except TargetError:
        raise
    except Exception as error:  # whatever a user's function raises
        raise NotClasses(f"{told} fails on the scores: {type(error).__name__}: {error}") from error
    if isinstance(classes, Tensor) and (classes.is_floating_point() or classes.dtype == torch.bool):
        raise NotClasses(f"{told} gave {classes.dtype} for the scores; classes are whole numbers", own)
    if isinstance(classes, float):
        raise NotClasses(f"{told} gave {classes} for the scores; classes are whole numbers", own)
    return classes


@dataclass(frozen=True)
class Chosen(Target):
    """A function where it is not known which of two it is: one that chooses a class, or one that gives a number.

    Settling on an image tells: whole numbers for its scores (1, classes) are the class that is explained; anything else
    makes it a `Function`, of what the network returned for the image.

    Args:
        function: from scores (N, classes) to (N,) whole numbers, or as `Function` takes it; name: what errors call it.
    """

    quantity = "value"

    function: Callable[[Any], Any]
    name: str

    def __post_init__(self) -> None:
        Function(self.function, self.name)  # refuses what cannot be called

    @property
    def settled(self) -> bool:
        """What it chooses depends on the image."""
        return False

    def settle(self, answer: Answer) -> Target:
        """The class that it chooses of this image, or itself as a number.

        Raises:
            OutputError: it is neither, or fails on both, or the network has no such class.
        """
        try:
            scores = answer.scores
            given = chosen_classes(self.function, scores)
        except OutputError:  # the network has no class scores
            return Function(self.function, self.name)
        except NotClasses as error:
            return self._number(answer, error.why)
        try:
            classes = torch.as_tensor(given, device="cpu").flatten().tolist()
        except (TypeError, ValueError, RuntimeError):
            classes = [given]
        told = f"target {self.name}: chose {given!r} of scores {tuple(scores.shape)}"
        if len(classes) != 1 or isinstance(classes[0], bool) or not isinstance(classes[0], int):
            raise OutputError(f"{told}, which is {describe(given)}; return one whole number for each image")
        if not 0 <= classes[0] < scores.shape[1]:
            raise OutputError(f"{told}, and the network has classes 0 … {scores.shape[1] - 1}; return one of them")
        return ClassScore(classes[0])

    def _number(self, answer: Answer, why_no_class: str) -> Function:
        """It as a number of the image's own output, unless it is none there either."""
        number = Function(self.function, self.name)
        try:
            number.score(answer)
        except (OutputError, TargetError) as error:
            raise OutputError(f"{error}. As a function that chooses classes: {why_no_class}") from error
        return number

    def score(self, answer: Answer) -> Tensor:
        """Of an image on which it was settled.

        Raises:
            TargetError: always, since this is not it.
        """
        raise TargetError(f"target {self.name} is not settled: settle it on the unperturbed image first")

    def label(self, class_names: Sequence[str] | None = None) -> str:
        """The function's name."""
        return self.name
