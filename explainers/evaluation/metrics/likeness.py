"""Metrics of a map by itself, and of how like another explainer's map it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from explainers.errors import OptionError
from explainers.evaluation.measuring.subject import Measured, Measuring, Subject
from explainers.evaluation.metric import Metric, register_metric
from explainers.evaluation.metrics.similarity import pearson, spearman, ssim, top_k_intersection
from explainers.evaluation.metrics.sparseness import entropy, gini

SIMILARITIES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "spearman": spearman,
    "pearson": pearson,
    "ssim": ssim,
    "top-k": top_k_intersection,
}


class LikenessMetric(Metric):
    """Likeness of a map to the map of another explainer of the same evaluation. Cost: no passes.

    Args:
        reference: the title of that explainer.
    """

    better = ""

    def __init__(self, *, reference: str | None = None) -> None:
        if not reference:
            raise OptionError(
                f"{self.name} compares two maps: name the explainer to compare with, as in "
                f'create_metric("{self.name}", reference="grad-cam") or --metric {self.name}:reference=grad-cam'
            )
        self.reference_title = reference

    def settings(self) -> dict[str, Any]:
        """What is compared with."""
        return {"reference": self.reference_title}

    def measure(self, subject: Subject) -> Measuring:
        """All images at once."""
        yield []
        other = subject.others(self.reference_title)
        known = torch.isfinite(other).flatten(1).all(dim=1)
        values = self.likeness(subject.maps, other.nan_to_num()).cpu()
        return [
            Measured(value if there else float("nan"))
            for value, there in zip(values.tolist(), known.tolist(), strict=True)
        ]

    def likeness(self, maps: Tensor, other: Tensor, /) -> Tensor:
        """(N,) values."""
        raise NotImplementedError


@register_metric
class SSIM(LikenessMetric):
    """Structural similarity of two scaled maps, up to 1; Gaussian window of 11 pixels with σ = 1.5."""

    name = "ssim"
    reference = "Wang et al. 2004"
    likeness = staticmethod(ssim)


@register_metric
class Spearman(LikenessMetric):
    """Rank correlation of two maps, -1 … 1, average ranks for ties; not defined for a constant map."""

    name = "spearman"
    reference = "Spearman 1904"
    likeness = staticmethod(spearman)


@register_metric
class Pearson(LikenessMetric):
    """Correlation of two maps, -1 … 1; not defined for a constant map."""

    name = "pearson"
    reference = "Pearson 1895"
    likeness = staticmethod(pearson)


@register_metric
class TopK(LikenessMetric):
    """Share of the k most important pixels that two maps have in common.

    Args:
        k: a number of pixels, or (a float) a share of them.
    """

    name = "top-k-intersection"
    reference = "Ghorbani et al. 2019"

    def __init__(self, *, reference: str | None = None, k: int | float = 0.1) -> None:
        super().__init__(reference=reference)
        self.k = k

    def settings(self) -> dict[str, Any]:
        """What is compared with, and k."""
        return {**super().settings(), "k": self.k}

    def likeness(self, maps: Tensor, other: Tensor, /) -> Tensor:
        """0 … 1."""
        return top_k_intersection(maps, other, self.k)


@register_metric
class Sparseness(Metric):
    """Gini index of a map's magnitudes: 0 where all are equal, 1 − 1/n where one pixel has everything.

    Source: Chalasani et al. 2020.
    """

    name = "sparseness"
    better = "higher"
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
    reference = "Bhatt et al. 2020"

    def measure(self, subject: Subject) -> Measuring:
        """All images at once."""
        yield []
        return [Measured(value) for value in entropy(subject.maps).tolist()]
