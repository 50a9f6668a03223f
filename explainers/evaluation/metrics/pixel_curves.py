"""Metrics that put single pixels in or take them out by the order of a map, and watch the target's probability."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from explainers.errors import OptionError
from explainers.evaluation.measuring.curve_sampling import GAP, TOLERANCE, Fixed, sampling_of
from explainers.evaluation.measuring.curves import Curve, Trace, finished
from explainers.evaluation.measuring.fillings import IMAGE, Baseline, baseline_name, checked_baseline
from explainers.evaluation.measuring.subject import Measured, Measuring, Subject
from explainers.evaluation.measuring.unseen import difference_columns
from explainers.evaluation.metric import Metric, register_metric

LEAST = (1, 10, 20, 30, 40, 50, 60, 70, 80, 90)


class CurveMetric(Metric):
    """A metric of one baseline and one way of sampling.

    Args:
        baseline: what stands in for pixels that are gone; see `explainers.evaluation.measuring.fillings.baseline_of`.
        steps: so many equal steps; None: as many as `tolerance` needs, where the curve moves.
        tolerance: the standard error of an area that adaptive steps aim at; an estimate.
        gap: the largest share of the way between adaptive steps; what is narrower may be passed over.

    Class attributes:
        inserts: whether pixels come in on the baseline, or go to it; backwards: whether the curve is read from its end.

    Cost: 25 (smooth curves) to 50 passes per curve at the default tolerance, otherwise `steps`; ends are shared. Rows
    of adaptive curves say how well the area is known, see `explainers.evaluation.measuring.unseen.Unseen`.
    """

    within_probability = (0.0, 1.0)
    inserts: ClassVar[bool] = False
    backwards: ClassVar[bool] = False

    def __init__(
        self,
        *,
        baseline: Baseline = "zero",
        steps: int | None = None,
        tolerance: float = TOLERANCE,
        gap: float = GAP,
    ) -> None:
        self.baseline = checked_baseline(baseline)
        self.sampling = sampling_of(steps, tolerance, gap)

    def settings(self) -> dict[str, Any]:
        """Baseline and sampling."""
        return {"baseline": baseline_name(self.baseline), **self.sampling.settings()}

    def measure(self, subject: Subject) -> Measuring:
        """One curve per image."""
        start, end = (self.baseline, IMAGE) if self.inserts else (IMAGE, self.baseline)
        traces = subject.walks.traces(start, end, self.sampling)
        yield from finished(traces)
        return [self._measured(trace) for trace in traces]

    def _measured(self, trace: Trace) -> Measured:
        curve, unseen = trace.curve(), trace.unseen()
        if self.backwards:
            curve = curve.backwards()
        return Measured(curve.area, curve, details={} if unseen is None else unseen.columns())


def difference(up: Trace, down: Trace) -> Measured:
    """The area under one curve less that under another."""
    return Measured(up.curve().area - down.curve().area, details=difference_columns(up.unseen(), down.unseen()))


@register_metric
class Insertion(CurveMetric):
    """Area under f while pixels are put into the baseline, most important first; from 0 to 1 of the pixels.

    Source: Petsiuk et al. 2018.
    """

    name = "insertion"
    better = "higher"
    reference = "Petsiuk et al. 2018"
    inserts = True
    across = "share put in"

    def __init__(
        self,
        *,
        baseline: Baseline = "blur",
        steps: int | None = None,
        tolerance: float = TOLERANCE,
        gap: float = GAP,
    ) -> None:
        super().__init__(baseline=baseline, steps=steps, tolerance=tolerance, gap=gap)


@register_metric
class Deletion(CurveMetric):
    """Area under f while pixels are replaced by the baseline, most important first; from 0 to 1 of the pixels.

    Source: Petsiuk et al. 2018.
    """

    name = "deletion"
    better = "lower"
    reference = "Petsiuk et al. 2018"


@register_metric
class IDScore(Metric):
    """Insertion less deletion.

    Args:
        baseline: of both; None: each its own default ("blur" for insertion, "zero" for deletion); the rest as there.
    """

    name = "id-score"
    better = "higher"
    within_probability = (-1.0, 1.0)
    reference = "Petsiuk et al. 2018"

    def __init__(
        self,
        *,
        baseline: Baseline | None = None,
        steps: int | None = None,
        tolerance: float = TOLERANCE,
        gap: float = GAP,
    ) -> None:
        self.insertion, self.deletion = ("blur", "zero") if baseline is None else (checked_baseline(baseline),) * 2
        self.sampling = sampling_of(steps, tolerance, gap)

    def measure(self, subject: Subject) -> Measuring:
        """Two curves per image, shared with insertion and deletion."""
        rising = subject.walks.traces(self.insertion, IMAGE, self.sampling)
        falling = subject.walks.traces(IMAGE, self.deletion, self.sampling)
        yield from finished([*rising, *falling])
        return [difference(up, down) for up, down in zip(rising, falling, strict=True)]

    def settings(self) -> dict[str, Any]:
        """Both baselines, or the one."""
        names = [baseline_name(self.insertion), baseline_name(self.deletion)]
        return {"baseline": " and ".join(dict.fromkeys(names)), **self.sampling.settings()}

    def caution(self) -> str:
        """Whether 0 is what a random map gets."""
        if baseline_name(self.insertion) == baseline_name(self.deletion):
            return ""
        return "comes in on one baseline and goes to another, so that 0 is not chance: read it beside random's"


@register_metric
class MoRF(CurveMetric):
    """Pixel flipping, most relevant first: the area under f; the curve is deletion's.

    Source: Samek et al. 2017.
    """

    name = "morf"
    better = "lower"
    reference = "Samek et al. 2017"


@register_metric
class LeRF(CurveMetric):
    """Pixel flipping, least relevant first: the area under f.

    The ranking is MoRF's from its end, so the images are those of an insertion into the same baseline, and are shared
    with it.

    Source: Samek et al. 2017.
    """

    name = "lerf"
    better = "higher"
    reference = "Samek et al. 2017"
    inserts = True
    backwards = True


@register_metric
class PixelPerturbation(Metric):
    """Mean of |f(x) − f(x_k)| / f(x), x_k without the k percent least important pixels.

    Args:
        percent: the k; baseline: what replaces the pixels.

    Cost: a pass per k.

    Source: Srinivas and Fleuret 2019, section 5.1.
    """

    name = "pixel-perturbation"
    better = "lower"
    within = (0.0, math.inf)
    ratios = True
    reference = "Srinivas and Fleuret 2019"
    heights = "|change of f(x)| / f(x)"

    def __init__(self, *, percent: Sequence[float] = LEAST, baseline: Baseline = "zero") -> None:
        self.baseline, self.percent = checked_baseline(baseline), tuple(percent)
        if not self.percent or not all(0 < k < 100 for k in self.percent):
            raise OptionError(f"percent={percent!r}; expected percentages above 0 and below 100")
        self.sampling = Fixed(tuple(1 - k / 100 for k in self.percent))

    def settings(self) -> dict[str, Any]:
        """Baseline and percentages."""
        return {"baseline": baseline_name(self.baseline), "percent": self.percent}

    def measure(self, subject: Subject) -> Measuring:
        """The images are those of an insertion into the baseline."""
        traces = subject.walks.traces(self.baseline, IMAGE, self.sampling)
        yield from finished(traces)
        results, pixels = [], subject.maps[0].numel()
        wanted = np.array([round(share * pixels) for share in self.sampling.shares])
        for clean, trace in zip(subject.chunk.probability.tolist(), traces, strict=True):
            kept = trace.curve()
            change = np.abs(clean - kept.values) / abs(clean) if clean else np.full(len(kept.values), np.nan)
            # Of a small map several percentages are one number of pixels; each counts.
            each = change[np.searchsorted(np.round(kept.shares * pixels), wanted)]
            results.append(Measured(float(each.mean()), Curve(1 - kept.shares[::-1], change[::-1])))
        return results
