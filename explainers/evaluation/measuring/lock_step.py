"""Metrics that take turns: the passes that any of them needs go through the network together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from explainers.errors import UnsupportedError
from explainers.evaluation.measuring.passes import Job
from explainers.evaluation.measuring.subject import Measured, Measuring, Subject


class Measures(Protocol):
    """What takes turns: a metric, as far as this has to know it."""

    name: ClassVar[str]
    axes: ClassVar[tuple[int, ...]]

    def measure(self, subject: Subject) -> Measuring:
        """Asks for passes by yielding jobs, gets what the network says of them, returns a Measured for each value."""


def lock_step(subject: Subject, metrics: Sequence[Measures]) -> list[list[Measured]]:
    """All metrics at once: in each round the passes that any of them needs go together through the network.

    Raises:
        UnsupportedError: a metric is not defined on maps of so many axes.
    """
    kind = {1: "signals", 2: "images", 3: "volumes"}[subject.maps.ndim - 1]
    for metric in metrics:
        if subject.maps.ndim - 1 not in metric.axes:
            raise UnsupportedError(f"{metric.name} is defined on images, and these are {kind}; leave it out")
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
