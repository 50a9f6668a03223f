"""One metric on maps that exist already: no explainer is called, and there is no other one to compare with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from explainers.errors import MapError, OptionError
from explainers.evaluation.measuring.batch import Batch
from explainers.evaluation.measuring.chunk import opened
from explainers.evaluation.measuring.lock_step import Measures, lock_step
from explainers.evaluation.measuring.subject import Measured, Subject
from explainers.evaluation.measuring.validation import checked_maps, checked_masks
from explainers.evaluation.measuring.watched import refuse_unfit
from explainers.passes.predictor import Predictor


class MetricLike(Measures, Protocol):
    """A metric, as far as this has to know it: what it needs, too."""

    name: ClassVar[str]
    needs: ClassVar[frozenset[str]]
    ratios: ClassVar[bool]


def measured(
    metric: MetricLike,
    model: Any,
    batch: Batch,
    maps: Tensor,
    *,
    activation: str | None = "auto",
    seed: int = 0,
) -> list[list[Measured]]:
    """What one metric says of given maps (N, *axes): for each image its values, one per setting of the metric.

    Args:
        batch: with masks as the user gave them.

    Raises:
        OptionError: the metric needs masks that are not there, or an explainer. MapError: the maps or masks do not fit
            the images, or maps are not finite. TargetError: a class that the network does not have.
    """
    if "explainer" in metric.needs:
        raise OptionError(f"{metric.name} calls the explainer again, so it needs explainers.evaluate instead of maps")
    if "masks" in metric.needs and batch.masks is None:
        raise OptionError(f"{metric.name} needs masks (N, *axes) of what a map should show")
    predictor, count = Predictor(model), len(batch.images)
    batch = replace(batch, masks=checked_masks(batch.masks, batch.images))
    chunk = opened(batch, predictor, activation, seed=seed)
    refuse_unfit(metric.name, metric, chunk.watched)
    maps = checked_maps(maps, batch.images, "maps")
    if not torch.isfinite(maps).all():
        raise MapError("the maps have NaN or infinite values")
    subject = Subject(chunk, maps, None, model, chunk.passes(predictor), lambda name: _no_other(metric, name))
    results = lock_step(subject, [metric])[0]
    each = len(results) // count
    return [results[row * each : (row + 1) * each] for row in range(count)]


def _no_other(metric: Measures, name: str) -> Tensor:
    raise OptionError(f"{metric.name} compares with the explainer {name!r}: use explainers.evaluate instead of maps")
