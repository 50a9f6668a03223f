"""Classes as what a run explains: the predicted one, one for all, the true one of each image, the k best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from explainers.core.explainer import Explainer
from explainers.core.targets import NOT, SeenTargets
from explainers.models import LoadedModel
from explainers.models.loaded import target_name
from explainers.models.target_words import LABEL
from explainers.network.input import fixed_batch
from explainers.network.output import Output, class_scores
from explainers.passes.activation import Reading, reading_of
from explainers.passes.one_score import Remarks, in_force, remark
from explainers.run.targets.class_names import output_for
from explainers.run.targets.wanted import Asked, Part, Told, Wanted


@dataclass
class Classes(Wanted):
    """Classes of a classification network.

    Args:
        target: an index, None (the predicted class), "label" or "not"; top_k: how many of the best; activation_asked,
            output: as for a run; labels: image name → true class.
    """

    loaded: LoadedModel
    target: int | str | None
    top_k: int = 1
    activation_asked: str | None = "auto"
    output: Output | None = None
    labels: Mapping[str, int] | None = None
    reading: Reading | None = field(default=None, init=False)  # found on the first batch
    remarks: Remarks = field(default_factory=Remarks, init=False, repr=False)

    @property
    def activation(self) -> str | None:
        """What turns scores into probabilities."""
        return None if self.reading is None else str(self.reading)

    def explainers(self, explainers: Mapping[str, Explainer]) -> dict[str, Explainer]:
        """For "not" those of the score turned around."""
        negative = self.target == NOT
        return {title: each.negative() if negative else each for title, each in explainers.items()}

    def of(self, images: Tensor, names: Sequence[str], given: Sequence[Any]) -> AskedClasses:
        """The classes of a batch, chosen in the first method's own pass."""
        seen = SeenTargets(self._targets(names), self.top_k)
        if fixed_batch(self.loaded.network) is not None:  # explainers fill the batch up, scores would be of that
            seen(class_scores(self.loaded, images, output_for(self.target, self.output)))
        return AskedClasses(self, images, seen)

    def _targets(self, names: Sequence[str]) -> int | Tensor | None:
        if self.target == LABEL:
            assert self.labels is not None
            return torch.tensor([self.labels[name] for name in names], device="cpu")
        return 0 if isinstance(self.target, str) else self.target  # "not" is the class 0 of −s

    def read(self, images: Tensor, scores: Tensor) -> Reading:
        """What turns the scores of images into f(x)."""
        if self.reading is None:
            output = output_for(self.target, self.output)
            self.reading = reading_of(self.loaded, images, scores, self.activation_asked, output, check=False)
        self.remarks(self.reading, scores)
        return self.reading


@dataclass
class AskedClasses(Asked):
    """The classes of one batch."""

    wanted: Classes
    images: Tensor
    seen: SeenTargets

    @property
    def targets(self) -> Any:
        """The classes, or what chooses them of the first method's scores and remembers both."""
        return self.seen if self.seen.classes is None else self.seen.classes

    def told(self) -> list[Told] | None:
        """What the scores say of each image."""
        if self.seen.scores is None or self.seen.classes is None:
            return None
        reading = self.wanted.read(self.images, self.seen.scores)
        return [
            _told(scores, chosen, reading, self.wanted.loaded.class_names)
            for scores, chosen in zip(self.seen.scores.cpu(), self.seen.classes.tolist(), strict=True)
        ]


def _told(scores: Tensor, chosen: list[int], reading: Reading, names: tuple[str, ...] | None) -> Told:
    """Of one image.

    Args:
        scores: (classes,), −s where the other class of a network with one score is explained.
    """
    scores, assumed = scores.float(), reading
    reading = in_force(assumed, scores[None])
    unread = "" if reading is assumed else remark(assumed, scores[None])
    predicted, values = _seen(scores, reading, unread, names)

    def value(target: int | str) -> float | str:
        return round(values[target], 6) if values else ""

    def name(target: int | str) -> str:
        return target_name(target, names, len(scores))

    quantity = "probability" if reading.probability and not unread else "score"
    parts = []
    for rank, index in enumerate(chosen):
        target: int | str = NOT if reading.negative else index
        parts.append(Part(target, name(target), value(target), quantity, f"{rank + 1}-{index}"))
    columns = {"predicted": predicted, "predicted_name": name(predicted), "probability": value(predicted)}
    return Told(tuple(parts), str(reading), columns, unread)


def _seen(
    scores: Tensor, reading: Reading, unread: str, names: tuple[str, ...] | None
) -> tuple[int | str, dict[int | str, float]]:
    """(The predicted class, f(x) of each class, or nothing where it cannot be told). Of one score, the other class is
    predicted only where it has a name."""
    values: dict[int | str, float] = dict(enumerate(reading(scores[None])[0].tolist()))
    if len(scores) > 1:
        return int(scores.argmax()), values
    own = values[0]
    rest = 1 - own if reading.probability else -own
    values = {0: rest, NOT: own} if reading.negative else {0: own, NOT: rest}
    named = len(names or ()) == 2
    return NOT if named and values[NOT] > values[0] else 0, {} if unread else values
