"""From what a user passes as `targets=` to targets that stand for one image each."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from explainers.errors import TargetError
from explainers.network.guard import exact, preserved
from explainers.network.input import full_batches, run
from explainers.network.output import Output
from explainers.passes.activation import Reading, reading_of
from explainers.targets.answer import Answer
from explainers.targets.class_targets import ClassScore
from explainers.targets.function import Function
from explainers.targets.per_image import count_of
from explainers.targets.target import Target
from explainers.targets.target_scores import TargetScores, watching


@dataclass(frozen=True, eq=False)
class Settled:
    """Targets of some images, each settled on its image.

    rows: of each image its K targets; per_image: one each was asked for, so that maps have no target dimension; output:
    the user's `output=`; size: of the images.
    """

    rows: tuple[tuple[Target, ...], ...]
    per_image: bool
    output: Output | None = None
    size: tuple[int, ...] = ()
    readings: dict[str | None, Reading] = field(default_factory=dict, repr=False)
    """What turns class scores into f(x), by the activation that was asked for; found once for all methods."""

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Sequence[int]) -> Settled:
        """Those of some of the images."""
        return Settled(tuple(self.rows[row] for row in rows), self.per_image, self.output, self.size, self.readings)

    def columns(self) -> tuple[tuple[Target, ...], Tensor]:
        """The different targets (T), and (N, K) which of them are whose."""
        place: dict[Target, int] = {}
        indices = [[place.setdefault(target, len(place)) for target in row] for row in self.rows]
        return tuple(place), torch.tensor(indices, dtype=torch.int64, device="cpu")

    def scores(
        self, network: Any, images: Tensor, activation: str | Reading | None = "auto", *, watch: bool
    ) -> TargetScores:
        """The `output=` of the targets.

        Args:
            images: (N, C, …) unperturbed, which try the network where it is not known what turns class scores into
            f(x); activation: what was asked for, or found before; watch: whether f(x) is asked for.
        """
        targets, _ = self.columns()
        if not watch:
            return TargetScores(targets, self.output, self.size)
        classes = self.reading(network, images, activation) if any(each.reads_classes for each in targets) else None
        return TargetScores(targets, self.output, self.size, classes, watching(targets, classes))

    def values(
        self, network: Any, images: Tensor, answers: Sequence[Answer], activation: str | Reading | None = "auto"
    ) -> list[list[float]]:
        """f(x) of each image's targets: (N, K) numbers.

        Args:
            images: unperturbed; answers: for each of them, see `answers_for`; activation: as for `scores`.
        """
        reads = any(each.reads_classes for row in self.rows for each in row)
        reading = self.reading(network, images, activation) if reads else None
        found = []
        for answer, row in zip(answers, self.rows, strict=True):
            seen = replace(answer, reading=reading)
            found.append([float(target.watched(seen)) for target in row])
        return found

    def reading(self, network: Any, images: Tensor, activation: str | Reading | None) -> Reading:
        """What turns class scores into f(x), found once."""
        if isinstance(activation, Reading):
            return activation
        if activation not in self.readings:
            dense = any(each.reads_classes == "dense" for row in self.rows for each in row)
            output = MeanOverPositions(self.output) if dense else self.output
            (answer,) = answers_for(network, images[:1], self.output)
            if dense and activation == "auto" and answer.of_queries is not None:
                return self.readings.setdefault(activation, Reading(None, OF_QUERIES, probability=False))
            scores = answer.dense_scores.flatten(2).mean(dim=2) if dense else answer.scores
            self.readings[activation] = reading_of(network, images[:1], scores, activation, output)
        return self.readings[activation]


OF_QUERIES = "sums over the masks that the network predicts, of the class's probability times the mask's"


@dataclass(frozen=True)
class MeanOverPositions:
    """An `output=`: class scores (N, classes) of a segmentation network, as the mean over all positions."""

    of: Output | None = None

    def __call__(self, returned: Any) -> Tensor:
        """(N, classes)."""
        return Answer(returned, count_of(returned, self.of) or 0, self.of).dense_scores.flatten(2).mean(dim=2)


def settle(
    network: Any, images: Tensor, targets: Any, output: Output | None = None, answers: Sequence[Answer] | None = None
) -> Settled:
    """Targets, each settled on its image.

    Args:
        network: what is explained; images: (N, C, …), checked, unperturbed; targets: a `Target` for all, a list of N of
            them, or N lists of K; ints (classes), None (the predicted class) and functions may be among them; or what
            is settled already; answers: what the network says of the images, where that is known already.

    Raises:
        TargetError: another number, or a target that does not fit what the network returns.

    Cost: one pass where a target depends on the image as it is.
    """
    if isinstance(targets, Settled):
        if len(targets) != len(images):
            raise TargetError(f"{len(targets)} targets for {len(images)} images")
        return targets
    rows, per_image = rows_of(targets, len(images))
    size = tuple(images.shape[2:])
    if not all(target.settled for row in rows for target in row):
        parts = answers_for(network, images, output) if answers is None else answers
        if any(_needs_reading(target, parts[0]) for row in rows for target in row):
            reading = Settled(rows, per_image, output, size).reading(network, images, "auto")
            parts = [replace(part, reading=reading) for part in parts]
        once: dict[Target, Target] = {}

        def of(target: Target, part: Answer) -> Target:
            if not target.of_network:
                return target.settle(part)
            if target not in once:
                once[target] = target.settle(part)
            return once[target]

        rows = tuple(tuple(of(target, part) for target in row) for row, part in zip(rows, parts, strict=True))
    return Settled(rows, per_image, output, size)


def _needs_reading(target: Target, answer: Answer) -> bool:
    """Whether where a class is predicted depends on whether its one score is a probability already."""
    return not target.settled and target.reads_classes == "dense" and answer.dense_scores.shape[1] == 1


def answers_for(network: Any, images: Tensor, output: Output | None = None) -> list[Answer]:
    """What a network says of each image as it is, in evaluation mode and without gradient: batches of one.

    Cost: one pass. A network that insists on a batch size gets batches of that size, filled up with their last image.
    """

    def ask(given: Tensor) -> Answer:
        return answers_for(network, given.to(images), output)[0]

    found: list[Answer] = []
    for whole in full_batches(network, images):
        with preserved(network), exact(whole, gradients=False):
            returned = run(network, whole)
        answer = Answer(returned, len(whole), output, tuple(images.shape[2:]), None, ask)
        found += [answer.of_image(index) for index in range(min(len(whole), len(images) - len(found)))]
    return found


def holds_targets(targets: Any) -> bool:
    """Whether there is a target object, or a function for one image, in what was passed as `targets=`."""
    if isinstance(targets, (Target, Settled)):
        return True
    if isinstance(targets, (list, tuple)):
        return any((isinstance(each, (list, tuple)) and holds_targets(each)) or _is_one(each) for each in targets)
    return False


def rows_of(targets: Any, count: int) -> tuple[tuple[tuple[Target, ...], ...], bool]:
    """(The K targets of each of `count` images, whether one each was asked for).

    Raises:
        TargetError: another number of images, or not as many targets for each image.
    """
    if not isinstance(targets, (list, tuple)):
        return ((as_target(targets),),) * count, True
    if len(targets) != count:
        hint = " (several targets of one image are a list in the list: [[a, b, c]])" if count == 1 else ""
        raise TargetError(f"{len(targets)} targets for {count} images{hint}")
    nested = [
        isinstance(each, (list, tuple, Tensor)) and not (isinstance(each, Tensor) and each.ndim == 0)
        for each in targets
    ]
    if not any(nested):
        return tuple((as_target(each),) for each in targets), True
    if not all(nested) or len({len(each) for each in targets}) > 1 or not len(targets[0]):
        raise TargetError("give each image one target, or each a list of as many: (N,) or (N, K)")
    return tuple(tuple(as_target(one) for one in each) for each in targets), False


def as_objects(targets: list[Any] | tuple[Any, ...]) -> list[Any]:
    """A list of targets, or of lists of them, with objects in all places: what a part of it means does not depend on
    whether another part has objects."""
    return [as_objects(each) if isinstance(each, (list, tuple)) else as_target(each) for each in targets]


def as_target(given: Any) -> Target:
    """A target out of itself, a class index, None (the predicted class) or a function for one image.

    Raises:
        TargetError: it is none of these.
    """
    if isinstance(given, Target):
        return given
    whole = (
        isinstance(given, Tensor) and given.ndim == 0 and not given.is_floating_point() and given.dtype != torch.bool
    )
    if whole or (type(given).__module__ == "numpy" and hasattr(given, "__index__")):
        given = operator.index(given)
    if given is None or (isinstance(given, int) and not isinstance(given, bool)):
        return ClassScore(given)
    if callable(given):
        return Function(given)
    raise TargetError(f"{given!r} is no target: expected one of explainers.targets, a class index, or a function")


def _is_one(given: Any) -> bool:
    return isinstance(given, Target) or callable(given)
