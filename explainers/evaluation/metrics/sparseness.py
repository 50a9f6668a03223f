"""How concentrated a heat map is. Both formulas take finite maps (N, *axes) and return (N,) float64."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from explainers.evaluation.measuring.subject import Measured, Measuring, Subject
from explainers.evaluation.metric import Metric, register_metric


def gini(maps: Tensor) -> Tensor:
    """Gini index Σ_i (2i - n - 1) a_(i) / (n Σ a) of a = |map| in ascending order.

    Returns:
        0 (all pixels equal) … 1 - 1/n (all in one of n pixels); NaN where the map is zero everywhere.

    Source: Chalasani et al. 2020.
    """
    values = maps.double().abs().flatten(1).sort(dim=1).values
    n = values.shape[1]
    weights = torch.arange(1 - n, n, 2, device=values.device, dtype=values.dtype)
    return (weights * values).sum(dim=1) / (n * values.sum(dim=1))


def entropy(maps: Tensor) -> Tensor:
    """Entropy -Σ q ln q of each pixel's share q of the magnitude; 0 ln 0 is 0.

    Returns:
        0 (all in one pixel) … ln n (all pixels equal), in nats; NaN where the map is zero everywhere.

    Source: Bhatt et al. 2020, who call it complexity.
    """
    values = maps.double().abs().flatten(1)
    return torch.special.entr(values / values.sum(dim=1, keepdim=True)).sum(dim=1)


@register_metric
class Sparseness(Metric):
    """Gini index of a map's magnitudes: 0 where all are equal, 1 − 1/n where one pixel has everything.

    Source: Chalasani et al. 2020.
    """

    name = "sparseness"
    better = "higher"
    within = (0.0, 1.0)
    reference = "Chalasani et al. 2020"

    def measure(self, subject: Subject) -> Measuring:
        """All images at once."""
        yield []
        return [Measured(value) for value in gini(subject.maps).tolist()]


@register_metric
class Complexity(Metric):
    """Entropy of a map's magnitudes in nats: 0 where one pixel has everything, ln n where all are equal.

    Source: Bhatt et al. 2020.
    """

    name = "complexity"
    better = "lower"
    within = (0.0, math.inf)
    reference = "Bhatt et al. 2020"

    def measure(self, subject: Subject) -> Measuring:
        """All images at once."""
        yield []
        return [Measured(value) for value in entropy(subject.maps).tolist()]
