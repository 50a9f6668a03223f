"""Some images on their way through an evaluation, with what is known of each: a `Batch` that the network has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from explainers.core.targets import NOT, resolve_targets
from explainers.errors import OptionError, OutputError, TargetError
from explainers.evaluation.measuring.batch import Batch
from explainers.evaluation.measuring.fillings import IMAGE, Baseline, baseline_name, baseline_of, image_seed
from explainers.evaluation.measuring.passes import Passes
from explainers.evaluation.measuring.watched import Explain, Watched, watched
from explainers.passes.activation import Reading, reading_of
from explainers.passes.one_score import Remarks
from explainers.passes.predictor import Predictor
from explainers.targets import Function, Target, holds_targets
from explainers.targets.chosen import NotClasses

SCORES = Reading(None, "the scores themselves", probability=False)


@dataclass(eq=False)
class Chunk:
    """Images of one size that are evaluated together.

    names: how rows call them; images: (N, C, *axes); targets: (N,) the classes whose probability is watched; expected:
    (N,) classes that accuracy is measured by (labels, where there are any, else the targets); probability: (N,) of the
    targets on the images as they are; masks: (N, *axes) bool, or None; black: (C,) a black pixel, or None;
    reading: what turned scores into probabilities.
    """

    names: tuple[str, ...]
    images: Tensor
    targets: Tensor
    expected: Tensor
    probability: Tensor
    hit: Tensor
    masks: Tensor | None = None
    labelled: bool = False
    black: Tensor | None = None
    seed: int = 0
    reading: Reading = SCORES
    substrates: dict[str, Tensor] = field(default_factory=dict)
    """Pixels (N, pixels, C) of each baseline used so far, and of the images."""
    ends: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    """Probability and hit (N,) of each whole baseline, and of the images."""
    watched: Watched | None = None
    """Target objects, where it is no class that is watched; targets and expected are their columns then."""
    predicted: Tensor | None = None
    """(N,) the classes of the highest scores, None of a network with one score, whose reading decides."""
    _seeds: list[int] | None = field(default=None, init=False, repr=False)  # hashes of whole images

    def __post_init__(self) -> None:
        self.ends.setdefault(IMAGE, (self.probability, self.hit))
        self.substrates.setdefault(IMAGE, _by_pixel(self.images))

    def __len__(self) -> int:
        return len(self.names)

    def substrate(self, baseline: Baseline) -> str:
        """The key of a baseline among `substrates`."""
        key = baseline_name(baseline)
        if key not in self.substrates:
            made = baseline_of(self.images, baseline, black=self.black, seed=self.seed)
            self.substrates[key] = _by_pixel(made)
        return key

    def whole(self, key: str) -> Tensor:
        """The images (N, C, *axes) of a key."""
        return self.substrates[key].permute(0, 2, 1).unflatten(2, tuple(self.images.shape[2:]))

    def seeds(self) -> list[int]:
        """A seed of each image's own."""
        if self._seeds is None:
            self._seeds = [image_seed(image, self.seed) for image in self.images]
        return self._seeds

    def select(self, rows: Sequence[int]) -> Chunk:
        """Some of the images, with what is known of them."""
        if list(rows) == list(range(len(self))):
            return self
        picked = torch.tensor(list(rows), dtype=torch.int64, device="cpu")

        def of(value: Tensor) -> Tensor:
            return value[picked.to(value.device)]

        return Chunk(
            tuple(self.names[row] for row in rows),
            of(self.images),
            of(self.targets),
            of(self.expected),
            of(self.probability),
            of(self.hit),
            None if self.masks is None else of(self.masks),
            self.labelled,
            self.black,
            self.seed,
            self.reading,
            {key: of(value) for key, value in self.substrates.items()},
            {key: (of(first), of(second)) for key, (first, second) in self.ends.items()},
            None if self.watched is None else self.watched.select(rows),
            None if self.predicted is None else of(self.predicted),
        )

    def passes(self, predictor: Predictor) -> Passes:
        """What runs the perturbed copies of these images."""
        seen = predictor if self.watched is None else predictor.for_output(self.watched.scores)
        return Passes(seen, self.reading)

    def explainer(self, explain: Explain) -> Explain:
        """An explainer as it is called with the chunk's images and targets."""
        return explain if self.watched is None else self.watched.explainer(explain)

    def quantity(self, row: int) -> str:
        """What f(x) is of an image: "probability", "score", or what its target object says."""
        if self.watched is None:
            return "probability" if self.reading.probability else "score"
        return self.watched.targets[row].quantity_of(self.watched.scores.classes)

    def asked(self, row: int) -> int | str | Target:
        """What is watched of an image: a class, "not" where it is the other class of one score, or a target object."""
        if self.watched is None:
            return NOT if self.reading.negative else int(self.targets[row])
        return self.watched.targets[row]

    def outlines(self) -> dict[str, Tensor]:
        """(h, w) bool of what is watched in the images, by their names, without those in which it is all of them."""
        if self.watched is None:
            return {}
        size = tuple(self.images.shape[2:])
        found = {name: self.watched.targets[row].outline(size) for row, name in enumerate(self.names)}
        return {name: outline for name, outline in found.items() if outline is not None}

    def target(self, row: int) -> int | str:
        """What is watched of an image, for tables."""
        return int(self.targets[row]) if self.watched is None else self.watched.targets[row].label()


def opened(
    batch: Batch, predictor: Predictor, activation: str | Reading | None, *, black: Tensor | None = None, seed: int = 0
) -> Chunk:
    """The chunk that a batch is after the one unperturbed pass of its images.

    A function that was passed as targets chooses classes, or is a target of its own: whichever of the two it fits.

    Args:
        activation: what turns scores into f(x), or what was found of this network before; black: (C,) a black pixel, or
            None; seed: of the chunk.

    Raises:
        TargetError: a class that the network does not have. OptionError: a label that it does not have.
        OutputError: one score that is no logit, see `Reading.check`.
    """
    try:
        return _opened(batch, predictor, activation, black, seed)
    except (NotClasses, OutputError):
        if not callable(batch.targets) or holds_targets(batch.targets):
            raise
        own = replace(batch, targets=Function(batch.targets))
        return _opened(own, predictor, activation, black, seed)


def _opened(
    batch: Batch, predictor: Predictor, activation: str | Reading | None, black: Tensor | None, seed: int
) -> Chunk:
    images, labels, targets = batch.images, batch.labels, batch.targets
    objects = watched(predictor, images, targets, activation) if holds_targets(targets) else targets
    if isinstance(objects, Watched):
        return _of_objects(batch, predictor, objects, black, seed)
    scores = predictor(images)
    classes = resolve_targets(objects, scores)
    if classes.shape[1] != 1:
        raise TargetError(f"targets name {classes.shape[1]} classes per image; an evaluation watches one: pass (N,)")
    classes = classes[:, 0]
    if labels is not None and bool(((labels < 0) | (labels >= scores.shape[1])).any()):
        raise OptionError(
            f"label {int(labels.max() if int(labels.min()) >= 0 else labels.min())} is out of range: the network has "
            f"classes 0 … {scores.shape[1] - 1}"
        )
    expected = classes if labels is None else labels.to(classes)
    if isinstance(activation, Reading):
        reading = activation
        reading.check(scores)
    else:
        reading = reading_of(predictor.network, images, scores, activation, predictor.output)
        Remarks()(reading, scores)  # once: what was found is handed back with the next batch
    probability = reading(scores).gather(1, classes[:, None])[:, 0]
    predicted = scores.argmax(dim=1)
    hit = predicted == expected
    return Chunk(
        batch.names,
        images.detach(),
        classes,
        expected,
        probability.double().cpu(),
        hit.cpu(),
        batch.masks,
        labels is not None,
        black,
        seed,
        reading,
        predicted=predicted.cpu() if scores.shape[1] > 1 else None,
    )


def _of_objects(batch: Batch, predictor: Predictor, objects: Watched, black: Tensor | None, seed: int) -> Chunk:
    """The chunk of images whose target objects are watched."""
    reading = objects.scores.reading
    assert reading is not None
    columns = objects.columns.to(batch.images.device)
    values = reading(predictor.for_output(objects.scores)(batch.images)).gather(1, columns[:, None])[:, 0]
    nobody = torch.zeros(len(columns), dtype=torch.bool, device="cpu")  # metrics of hits are refused
    return Chunk(
        batch.names,
        batch.images.detach(),
        columns,
        columns,
        values.double().cpu(),
        nobody,
        batch.masks,
        batch.labels is not None,
        black,
        seed,
        reading,
        watched=objects,
    )


def _by_pixel(images: Tensor) -> Tensor:
    return images.flatten(2).transpose(1, 2).contiguous()
