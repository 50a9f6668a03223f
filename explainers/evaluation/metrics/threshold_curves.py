"""Metrics that keep or remove the region above a threshold of the map, and watch whether the class is still right."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from explainers.core.maps import scaled
from explainers.errors import OptionError
from explainers.evaluation.measuring.curve_sampling import Fixed, area
from explainers.evaluation.measuring.curves import Curve, finished
from explainers.evaluation.measuring.fillings import IMAGE, Baseline, baseline_name, checked_baseline
from explainers.evaluation.measuring.subject import Measured, Measuring, Subject
from explainers.evaluation.metric import Metric, register_metric


class ThresholdMetric(Metric):
    """Accuracy while the region above a threshold is kept or removed, over thresholds of the scaled map from 0 to 1.

    Accuracy is by the labels where there are any, else by the target class. The value of one image is the share of
    thresholds at which it is classified right; the mean over images is the area under the accuracy.

    Args:
        thresholds: how many intervals between 0 and 1; baseline: what fills the rest.

    Cost: a pass per threshold, fewer where regions are equal.

    Source: Fukui et al. 2019 as the AMB study has it.
    """

    reference = "AMB study"
    needs = frozenset({"classes"})
    within = (0.0, 1.0)
    keeps = True
    across = "threshold"
    heights = "accuracy"

    def __init__(self, *, thresholds: int = 20, baseline: Baseline = "zero") -> None:
        if isinstance(thresholds, bool) or not isinstance(thresholds, int) or thresholds < 1:
            raise OptionError(f"thresholds={thresholds!r}; expected a number of intervals of at least 1")
        self.thresholds, self.baseline = thresholds, checked_baseline(baseline)

    def settings(self) -> dict[str, Any]:
        """Baseline and number of thresholds."""
        return {"baseline": baseline_name(self.baseline), "thresholds": self.thresholds}

    def measure(self, subject: Subject) -> Measuring:
        """The region above a threshold is the first so many pixels of the ranking, so passes are shared."""
        levels = np.linspace(0, 1, self.thresholds + 1)
        flat = scaled(subject.maps).flatten(1)
        pixels = flat.shape[1]
        bounds = torch.from_numpy(levels).to(flat)
        counts = torch.stack([(flat > bound).sum(dim=1) for bound in bounds], dim=1).cpu().numpy()
        start, end = (self.baseline, IMAGE) if self.keeps else (IMAGE, self.baseline)
        traces = [
            subject.walks.trace(row, start, end, Fixed(tuple(np.unique(count) / pixels)))
            for row, count in enumerate(counts)
        ]
        yield from finished(traces)
        results = []
        for trace, count in zip(traces, counts, strict=True):
            hits = trace.hits()
            values = hits.values[np.searchsorted(np.round(hits.shares * pixels), count)]
            results.append(Measured(area(levels, values), Curve(levels, values)))
        return results


@register_metric
class ThresholdInsertion(ThresholdMetric):
    """Area under the accuracy while only the region above a threshold is kept."""

    name = "threshold-insertion"
    better = "higher"


@register_metric
class ThresholdDeletion(ThresholdMetric):
    """Area under the accuracy while the region above a threshold is removed."""

    name = "threshold-deletion"
    better = "lower"
    keeps = False
