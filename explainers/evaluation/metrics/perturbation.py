"""Metrics that put pixels in or take them out by the order of a map, and watch the target's probability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from explainers.core.maps import scaled
from explainers.errors import OptionError
from explainers.evaluation.measuring.curve_sampling import TOLERANCE, Fixed, area, sampling_of
from explainers.evaluation.measuring.curves import Curve, finished
from explainers.evaluation.measuring.fillings import IMAGE, Baseline, baseline_name, checked_baseline
from explainers.evaluation.metric import Measured, Measuring, Metric, Subject, register_metric

PATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
LEAST = (1, 10, 20, 30, 40, 50, 60, 70, 80, 90)


class CurveMetric(Metric):
    """A metric of one baseline and one way of sampling.

    Args:
        baseline: what stands in for pixels that are gone; see `explainers.evaluation.measuring.fillings.baseline_of`.
        steps: so many equal steps; None: as many as `tolerance` needs, where the curve moves.
        tolerance: the standard error of an area that adaptive steps aim at; an estimate.

    Class attributes:
        inserts: whether pixels come in on the baseline, or go to it; backwards: whether the curve is read from its end.

    Cost: 20 (smooth curves) to 50 passes per curve at the default tolerance, otherwise `steps`; ends are shared.
    """

    inserts: ClassVar[bool] = False
    backwards: ClassVar[bool] = False

    def __init__(self, *, baseline: Baseline = "zero", steps: int | None = None, tolerance: float = TOLERANCE) -> None:
        self.baseline = checked_baseline(baseline)
        self.sampling = sampling_of(steps, tolerance)

    def settings(self) -> dict[str, Any]:
        """Baseline and sampling."""
        return {"baseline": baseline_name(self.baseline), **self.sampling.settings()}

    def measure(self, subject: Subject) -> Measuring:
        """One curve per image."""
        start, end = (self.baseline, IMAGE) if self.inserts else (IMAGE, self.baseline)
        traces = subject.walks.traces(start, end, self.sampling)
        yield from finished(traces)
        curves = [trace.curve().backwards() if self.backwards else trace.curve() for trace in traces]
        return [Measured(curve.area, curve) for curve in curves]


@register_metric
class Insertion(CurveMetric):
    """Area under f while pixels are put into the baseline, most important first; from 0 to 1 of the pixels.

    Source: Petsiuk et al. 2018.
    """

    name = "insertion"
    better = "higher"
    reference = "Petsiuk et al. 2018"
    inserts = True

    def __init__(self, *, baseline: Baseline = "blur", steps: int | None = None, tolerance: float = TOLERANCE) -> None:
        super().__init__(baseline=baseline, steps=steps, tolerance=tolerance)


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
    reference = "Petsiuk et al. 2018"

    def __init__(
        self, *, baseline: Baseline | None = None, steps: int | None = None, tolerance: float = TOLERANCE
    ) -> None:
        self.insertion, self.deletion = ("blur", "zero") if baseline is None else (checked_baseline(baseline),) * 2
        self.sampling = sampling_of(steps, tolerance)

    def measure(self, subject: Subject) -> Measuring:
        """Two curves per image, shared with insertion and deletion."""
        rising = subject.walks.traces(self.insertion, IMAGE, self.sampling)
        falling = subject.walks.traces(IMAGE, self.deletion, self.sampling)
        yield from finished([*rising, *falling])
        return [Measured(up.curve().area - down.curve().area) for up, down in zip(rising, falling, strict=True)]

    def settings(self) -> dict[str, Any]:
        """Both baselines, or the one."""
        names = [baseline_name(self.insertion), baseline_name(self.deletion)]
        return {"baseline": " and ".join(dict.fromkeys(names)), **self.sampling.settings()}


class PatchMetric(CurveMetric):
    """A metric of whole patches in the order of their largest value; x is the share of patches.

    Args:
        patch: side in pixels, or several; one value each. A last row or column that is narrower is a patch of its own.
    """

    reference = "LABN study"
    inserts = True
    deletes = True

    def __init__(
        self,
        *,
        patch: int | Sequence[int] = PATCHES,
        baseline: Baseline = "zero",
        steps: int | None = None,
        tolerance: float = TOLERANCE,
    ) -> None:
        super().__init__(baseline=baseline, steps=steps, tolerance=tolerance)
        self.patch = (patch,) if isinstance(patch, int) else tuple(patch)
        if not self.patch or any(isinstance(m, bool) or not isinstance(m, int) or m < 1 for m in self.patch):
            raise OptionError(f"patch={patch!r}; expected a side of at least one pixel, or several")

    def settings(self) -> dict[str, Any]:
        """With the patch sizes."""
        return {"patch": self.patch, **super().settings()}

    def measure(self, subject: Subject) -> Measuring:
        """Every size at once."""
        walks, sampling = subject.walks, self.sampling
        rising = [walks.traces(self.baseline, IMAGE, sampling, m) if self.inserts else [] for m in self.patch]
        falling = [walks.traces(IMAGE, self.baseline, sampling, m) if self.deletes else [] for m in self.patch]
        yield from finished([trace for traces in (*rising, *falling) for trace in traces])
        results = []
        for row in range(len(subject.chunk)):
            for m, up, down in zip(self.patch, rising, falling, strict=True):
                curves = [traces[row].curve() for traces in (up, down) if traces]
                value = curves[0].area - curves[1].area if len(curves) == 2 else curves[0].area
                results.append(Measured(value, curves[0] if len(curves) == 1 else None, settings={"patch": m}))
        return results


@register_metric
class PID(PatchMetric):
    """Patch insertion less patch deletion, from and to one baseline; with patches of one pixel it is the ID score."""

    name = "pid"
    better = "higher"


@register_metric
class PatchInsertion(PatchMetric):
    """Insertion of whole patches."""

    name = "patch-insertion"
    better = "higher"
    deletes = False


@register_metric
class PatchDeletion(PatchMetric):
    """Deletion of whole patches."""

    name = "patch-deletion"
    better = "lower"
    inserts = False


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
    reference = "Srinivas and Fleuret 2019"

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
        results = []
        for clean, trace in zip(subject.chunk.probability.tolist(), traces, strict=True):
            seen = trace.curve().backwards()
            change = np.abs(clean - seen.values) / abs(clean) if clean else np.full(len(seen.values), np.nan)
            results.append(Measured(float(change.mean()), Curve(seen.shares, change)))
        return results


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
    keeps = True

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
