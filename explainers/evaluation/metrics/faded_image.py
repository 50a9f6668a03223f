"""What the network says of the image seen through its map."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from explainers.core.maps import scaled
from explainers.evaluation.measuring.fillings import Baseline, baseline_name, checked_baseline
from explainers.evaluation.measuring.passes import Job, Seen
from explainers.evaluation.measuring.subject import Measured, Measuring, Subject
from explainers.evaluation.metric import Metric, register_metric


class FadedMetric(Metric):
    """A metric of x ⊙ H + b ⊙ (1 − H), H the map scaled to 0 … 1 and b the baseline.

    Args:
        baseline: "zero" after normalisation gives the paper's x ⊙ H.

    Cost: one pass, which average drop and increase share.
    """

    reference = "Chattopadhay et al. 2018"

    def __init__(self, *, baseline: Baseline = "zero") -> None:
        self.baseline = checked_baseline(baseline)

    def settings(self) -> dict[str, Any]:
        """The baseline."""
        return {"baseline": baseline_name(self.baseline)}

    def measure(self, subject: Subject) -> Measuring:
        """One pass per image."""
        seen = yield from self._seen(subject)
        clean, faded = subject.chunk.probability.numpy(), seen.probability.numpy()
        return [Measured(self.value(before, after)) for before, after in zip(clean, faded, strict=True)]

    def value(self, clean: float, faded: float) -> float:
        """From the probability of the image and that of the faded image."""
        raise NotImplementedError

    def _seen(self, subject: Subject) -> Generator[Sequence[Job], Sequence[Seen], Seen]:
        key = subject.chunk.substrate(self.baseline)
        name = f"faded to {key}"
        if name not in subject.shared:
            subject.shared[name] = None
            answers = yield [_Faded(subject.chunk.images, subject.chunk.whole(key), scaled(subject.maps))]
            subject.shared[name] = answers[0]
        while (seen := subject.shared[name]) is None:
            yield []
        return seen


@dataclass(frozen=True)
class _Faded:
    images: Tensor
    baseline: Tensor
    weights: Tensor

    @property
    def rows(self) -> Sequence[int]:
        return range(len(self.images))

    def fill(self, first: int, last: int, buffer: Tensor) -> None:
        part = slice(first, last)
        torch.lerp(self.baseline[part], self.images[part], self.weights[part, None].to(buffer.dtype), out=buffer)


@register_metric
class AverageDrop(FadedMetric):
    """max(0, f(x) − f(x ⊙ H)) / f(x), 0 … 1."""

    name = "average-drop"
    better = "lower"
    within_probability = (0.0, 1.0)
    ratios = True

    def value(self, clean: float, faded: float) -> float:
        """Not defined where f(x) of the image itself is not above 0, as of scores that are no probabilities."""
        return max(0.0, clean - faded) / clean if clean > 0 else np.nan


@register_metric
class Increase(FadedMetric):
    """Whether f(x ⊙ H) > f(x)."""

    name = "increase"
    better = "higher"
    share = True

    def value(self, clean: float, faded: float) -> float:
        """1 or 0."""
        return float(faded > clean)
