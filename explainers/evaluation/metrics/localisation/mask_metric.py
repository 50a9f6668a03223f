"""What the metrics of a map and a mask share."""

from __future__ import annotations

import torch
from torch import Tensor

from explainers.evaluation.measuring.subject import Measured, Measuring, Subject
from explainers.evaluation.metric import Metric

LEVELS = 100


class MaskMetric(Metric):
    """A metric of a map and a mask alone. Cost: no passes."""

    better = "higher"
    within = (0.0, 1.0)
    needs = frozenset({"masks"})

    def measure(self, subject: Subject) -> Measuring:
        """All images at once."""
        yield []
        return self.judged(subject.maps, subject.masks(), subject)

    def judged(self, maps: Tensor, masks: Tensor, subject: Subject) -> list[Measured]:
        """One Measured per map."""
        raise NotImplementedError


def equal_thresholds(maps: Tensor, count: int = LEVELS) -> Tensor:
    """(count + 1,): thresholds 0 … 1 in equal steps, of the maps' type and on their device."""
    return torch.linspace(0, 1, count + 1, device=maps.device, dtype=maps.dtype)


def measured_each(values: Tensor) -> list[Measured]:
    """Values (N,) that come with nothing else."""
    return [Measured(value) for value in values.tolist()]
