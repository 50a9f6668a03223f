"""What is explained of images that are at hand, with its scores: classes or target objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from explainers.core.maps import as_tensor
from explainers.core.targets import resolve_targets
from explainers.errors import OutputError
from explainers.network.input import checked_images
from explainers.network.output import Negative, Output, class_scores
from explainers.network.unwrapping import as_network
from explainers.passes.activation import Reading, reading_of
from explainers.targets import Function, Target, answers_for, holds_targets, settle
from explainers.targets.chosen import NotClasses

Named = Callable[..., int | str]  # (name, classes=how many) → the class's index, or "not"


@dataclass(frozen=True)
class AskedTargets:
    """What is explained of the images, once for all methods.

    wanted: what explainers are called with; targets: classes (N,) or (N, K), or which of the objects are whose; scores:
    (N, classes), −s where the class "not" is explained, of the T objects (N, T); reading: what turns scores into f(x);
    negative: whether "not" is explained; objects: all different targets, settled; values: f(x) of the objects (N, T).
    """

    wanted: Any
    targets: Tensor
    scores: Tensor
    reading: Reading | None
    negative: bool = False
    objects: tuple[Target, ...] = ()
    values: Tensor | None = None

    @classmethod
    def of(
        cls,
        model: Any,
        images: Tensor,
        target: Any,
        output: Output | None,
        activation: str | None,
        named: Named,
    ) -> AskedTargets:
        """Classes, or objects where there are some; a function is whichever of the two it fits.

        Args:
            model, target, output: as for explainers; images: (N, C, H, W); target may be the name of a class, which
                `named` knows; activation: what was asked for.
        """
        if not holds_targets(target):
            try:
                return cls._of_classes(model, images, target, output, activation, named)
            except (NotClasses, OutputError):
                if not callable(target):
                    raise
                target = Function(target)
        return cls._of_objects(model, images, target, output, activation)

    @classmethod
    def _of_classes(
        cls,
        model: Any,
        images: Tensor,
        target: Any,
        output: Output | None,
        activation: str | None,
        named: Named,
    ) -> AskedTargets:
        scores = class_scores(model, images, output)
        wanted = named(target, classes=scores.shape[1]) if isinstance(target, str) else target
        negative = isinstance(wanted, str)
        if negative:  # "not": the score turned around, whose class is 0
            wanted, output = 0, Negative(output)
            scores = class_scores(model, images, output)
        reading = reading_of(model, images, scores, activation, output, check=False)
        classes = resolve_targets(wanted, scores)
        several = isinstance(wanted, (Tensor, list, tuple)) and as_tensor(wanted).ndim == 2
        targets = classes if several else classes[:, 0]
        return cls(targets, targets, scores, reading, negative)

    @classmethod
    def _of_objects(
        cls, model: Any, images: Tensor, target: Any, output: Output | None, activation: str | None
    ) -> AskedTargets:
        network = as_network(model)
        images = checked_images(images, network)
        answers = answers_for(network, images, output)
        settled = settle(network, images, target, output, answers)
        columns = settled.scores(network, images, activation, watch=True)
        both = torch.cat([columns(answer.returned) for answer in answers]).detach()
        objects, indices = settled.columns()
        return cls(
            settled,
            indices[:, 0] if settled.per_image else indices,
            both[:, : len(objects)],
            columns.reading,
            objects=objects,
            values=both[:, len(objects) :],
        )
