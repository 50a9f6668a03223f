"""Target objects as what a run explains: the same one of each image, or one that depends on the image's file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from explainers.core.preprocessing import AnyPreprocessing
from explainers.data.images import ImageFile
from explainers.errors import OutputError
from explainers.models import LoadedModel
from explainers.models.loaded import target_name
from explainers.network.output import Output
from explainers.network.unwrapping import as_network
from explainers.passes.activation import Reading
from explainers.run.targets.wanted import Asked, Part, Told, Wanted
from explainers.storage.journal import Row
from explainers.targets import Answer, ClassScore, Settled, Target, answers_for, settle
from explainers.targets.target_scores import watching


class ImageTargets(ABC):
    """A target for each file, made when it is read: where something lies is said of the photo or recording."""

    @property
    @abstractmethod
    def key(self) -> str:
        """Tells it from others, in this process and the next."""

    @abstractmethod
    def of(self, file: ImageFile, subject: Any, preprocessing: AnyPreprocessing) -> Target:
        """The target of an image; where in it something lies is said of the network's input.

        Raises:
            ImageError, MapError: what it is made of cannot be read, or the network does not see it.
        """

    @property
    @abstractmethod
    def anywhere(self) -> Target:
        """The same said of no file, which tells whether the network allows such a target at all."""

    @abstractmethod
    def check(self, files: Sequence[ImageFile]) -> None:
        """See before anything is done that there is what targets are made of; an image without it fails alone.

        Raises:
            MapError: no image has it.
        """

    def digest(self, file: ImageFile) -> bytes:
        """Of the content of other files that decide an image's target."""
        return b""


@dataclass
class Objects(Wanted):
    """A target object of each image.

    Args:
        target: for all images that bring none of their own; activation_asked, output: as for a run.
    """

    loaded: LoadedModel
    target: Target | None
    activation_asked: str | None = "auto"
    output: Output | None = None
    readings: dict[str | None, Reading] = field(default_factory=dict, init=False)
    told_of: str | None = field(default=None, init=False)

    @property
    def activation(self) -> str | None:
        """What gives f(x)."""
        return self.told_of

    def of(self, images: Tensor, names: Sequence[str], given: Sequence[Any]) -> AskedObjects:
        """Targets of a batch, settled once for all methods in one pass, which gives f(x) as well."""
        network = as_network(self.loaded)
        answers = answers_for(network, images, self.output)
        if self.target is not None and self.target.of_network:  # once for the whole run
            self.target = self.target.settle(answers[0])
        targets: list[Any] = [self.target if own is None else own for own in given]
        settled = settle(network, images, targets, self.output, answers)
        settled = replace(settled, readings=self.readings)
        values = settled.values(network, images, answers, self.activation_asked)
        classes = self.readings.get(self.activation_asked)
        self.told_of = str(watching(tuple(row[0] for row in settled.rows), classes))
        return AskedObjects(self, settled, answers, values)


@dataclass
class AskedObjects(Asked):
    """The targets of one batch."""

    wanted: Objects
    settled: Settled
    answers: Sequence[Answer]
    values: list[list[float]]

    @property
    def targets(self) -> Any:
        """One list of targets for each image, settled."""
        return replace(self.settled, per_image=False)

    def told(self) -> list[Told]:
        """What the targets are of each image."""
        classes = self.wanted.readings.get(self.wanted.activation_asked)
        return [
            told_of_targets(row, values, answer, classes, self.wanted.loaded.class_names)
            for row, values, answer in zip(self.settled.rows, self.values, self.answers, strict=True)
        ]


def told_of_targets(
    targets: Sequence[Target],
    values: Sequence[float],
    answer: Answer,
    classes: Reading | None,
    names: tuple[str, ...] | None,
) -> Told:
    """What is told of one image whose settled targets were explained.

    Args:
        values: f(x) of each target; answer: the network's, for this image; classes: what turns class scores into f(x).
    """
    parts = []
    for rank, (target, value) in enumerate(zip(targets, values, strict=True)):
        outline = target.outline(answer.size)
        parts.append(
            Part(
                target.index if isinstance(target, ClassScore) and target.index is not None else target.label(),
                target.label(names),
                round(value, 6),
                target.quantity_of(classes),
                f"{rank + 1}",
                None if outline is None else outline.cpu(),
            )
        )
    return Told(tuple(parts), str(watching(tuple(targets), classes)), _predicted(targets, answer, classes, names))


def _predicted(
    targets: Sequence[Target], answer: Answer, classes: Reading | None, names: tuple[str, ...] | None
) -> Row:
    """The predicted class, where class scores of the whole image are read."""
    if classes is None or not any(target.reads_classes is True for target in targets):
        return {}
    try:
        scores = answer.scores
    except OutputError:
        return {}
    best = int(scores[0].argmax())
    value = float(classes(scores)[0, best])
    return {
        "predicted": best,
        "predicted_name": target_name(best, names, scores.shape[1]),
        "probability": round(value, 6),
    }
