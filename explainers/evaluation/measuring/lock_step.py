"""Metrics that take turns: the passes that any of them needs go through the network together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from explainers.errors import MapError, OptionError
from explainers.evaluation.measuring.chunk import opened
from explainers.evaluation.measuring.passes import Job, Passes
from explainers.evaluation.measuring.validation import checked_maps, checked_masks
from explainers.evaluation.metric import Measured, Measuring, Metric, Subject
from explainers.network.output import Output
from explainers.passes.predictor import Predictor


def lock_step(subject: Subject, metrics: Sequence[Metric]) -> list[list[Measured]]:
    """All metrics at once: in each round the passes that any of them needs go together through the network."""
    running: dict[int, Measuring] = {number: metric.measure(subject) for number, metric in enumerate(metrics)}
    replies: dict[int, Any] = dict.fromkeys(running)
    results: dict[int, list[Measured]] = {}
    chunk, idle = subject.chunk, 0
    while running:
        asked: list[tuple[int, list[Job]]] = []
        for number, generator in list(running.items()):
            try:
                asked.append((number, list(generator.send(replies[number]))))
            except StopIteration as stop:
                results[number] = stop.value
                del running[number]
        walked = subject.walks.jobs()
        own = [job for _, jobs in asked for job in jobs]
        idle = 0 if own or walked else idle + 1
        if idle > 2:
            raise RuntimeError(f"{[metrics[number].name for number in running]} wait for passes that nobody makes")
        seen = subject.passes.run([*own, *(job for job, _ in walked)], chunk.images, chunk.targets, chunk.expected)
        for (job, place), answer in zip(walked, seen[len(own) :], strict=True):
            subject.walks.tell(job, place, answer)
        replies, at = {}, 0
        for number, jobs in asked:
            replies[number] = seen[at : at + len(jobs)]
            at += len(jobs)
    return [results[number] for number in range(len(metrics))]


def measured(
    metric: Metric,
    model: Any,
    images: Tensor,
    maps: Tensor,
    targets: Any = None,
    *,
    masks: Tensor | None = None,
    activation: str | None = "softmax",
    output: Output | None = None,
    seed: int = 0,
) -> list[list[Measured]]:
    """What one metric says of given maps: for each image its values, one per setting of the metric."""
    if "explainer" in metric.needs:
        raise OptionError(f"{metric.name} calls the explainer again, so it needs explainers.evaluate instead of maps")
    if "masks" in metric.needs and masks is None:
        raise OptionError(f"{metric.name} needs masks (N, H, W) of what a map should show")
    predictor = Predictor(model, output=output)
    names = [str(number) for number in range(len(images))]
    chunk = opened(predictor, activation, names, images, targets, masks=checked_masks(masks, images), seed=seed)
    maps = checked_maps(maps, images, "maps")
    if not torch.isfinite(maps).all():
        raise MapError("the maps have NaN or infinite values")
    subject = Subject(chunk, maps, None, model, Passes(predictor, activation), lambda name: _no_other(metric, name))
    results = lock_step(subject, [metric])[0]
    each = len(results) // len(images)
    return [results[row * each : (row + 1) * each] for row in range(len(images))]


def _no_other(metric: Metric, name: str) -> Tensor:
    raise OptionError(f"{metric.name} compares with the explainer {name!r}: use explainers.evaluate instead of maps")
