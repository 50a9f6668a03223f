"""Perturbed images of many metrics, maps and images, gathered into full batches of one predictor."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Protocol

import torch
from torch import Tensor

from explainers.passes.activation import Reading
from explainers.passes.predictor import Predictor


class Job(Protocol):
    """Some perturbed copies of images, made when their batch is."""

    @property
    def rows(self) -> Sequence[int]:
        """Which image of the chunk each copy comes from."""

    def fill(self, first: int, last: int, buffer: Tensor) -> None:
        """Write copies `first` … `last` - 1 into the buffer (last - first, C, *axes)."""


@dataclass(frozen=True)
class Seen:
    """What the network says of a job's copies: the target's probability (n,) float64, and whether the predicted class
    is the expected one (n,) bool."""

    probability: Tensor
    hit: Tensor


@dataclass(frozen=True)
class Given:
    """Copies that exist already: images (n, C, *axes)."""

    images: Tensor
    rows: Sequence[int]

    def fill(self, first: int, last: int, buffer: Tensor) -> None:
        """A copy."""
        buffer[:] = self.images[first:last]


class Passes:
    """Runs jobs.

    Args:
        predictor: makes the passes; reading: what turns scores into f(x).
    """

    def __init__(self, predictor: Predictor, reading: Reading) -> None:
        self.predictor, self.reading = predictor, reading

    def run(self, jobs: Sequence[Job], images: Tensor, targets: Tensor, expected: Tensor) -> list[Seen]:
        """What the network says of each job's copies.

        Args:
            images: (N, C, *axes) of the chunk; targets: (N,) classes whose probability counts; expected: (N,) classes
                that a hit is measured by.
        """
        starts = [0, *accumulate(len(job.rows) for job in jobs)]
        count = starts[-1]
        if count == 0:
            return [
                Seen(torch.empty(0, dtype=torch.float64, device="cpu"), torch.empty(0, dtype=torch.bool, device="cpu"))
                for _ in jobs
            ]
        rows = torch.tensor([row for job in jobs for row in job.rows], device=images.device)
        wanted, right = targets[rows], expected[rows]
        probabilities: list[Tensor] = []
        hits: list[Tensor] = []

        def make(start: int, stop: int, buffer: Tensor) -> Tensor:
            number = bisect_right(starts, start) - 1
            at = start
            while at < stop:
                end = min(stop, starts[number + 1])
                if end > at:
                    jobs[number].fill(at - starts[number], end - starts[number], buffer[at - start : end - start])
                at, number = end, number + 1
            return buffer

        def take(start: int, scores: Tensor) -> None:
            here = slice(start, start + len(scores))
            probabilities.append(self.reading(scores).gather(1, wanted[here, None])[:, 0])
            hits.append(scores.argmax(dim=1) == right[here])

        self.predictor.run(count, images, make, take)
        probability, hit = torch.cat(probabilities).double().cpu(), torch.cat(hits).cpu()
        return [Seen(probability[a:b], hit[a:b]) for a, b in pairwise(starts)]
