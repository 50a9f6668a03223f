"""Insertion and deletion of whole patches instead of pixels: PID and its two halves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from explainers.errors import OptionError
from explainers.evaluation.measuring.curve_sampling import GAP, TOLERANCE
from explainers.evaluation.measuring.curves import finished
from explainers.evaluation.measuring.fillings import IMAGE, Baseline
from explainers.evaluation.measuring.subject import Measuring, Subject
from explainers.evaluation.metric import register_metric
from explainers.evaluation.metrics.pixel_curves import CurveMetric, difference

PATCHES = (1, 2, 4, 8, 16, 32, 64, 128)


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
        gap: float = GAP,
    ) -> None:
        super().__init__(baseline=baseline, steps=steps, tolerance=tolerance, gap=gap)
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
                traces = [each[row] for each in (up, down) if each]
                measured = self._measured(*traces) if len(traces) == 1 else difference(*traces)
                results.append(replace(measured, settings={"patch": m}))
        return results


@register_metric
class PID(PatchMetric):
    """Patch insertion less patch deletion, from and to one baseline; with patches of one pixel it is the ID score."""

    name = "pid"
    better = "higher"
    within_probability = (-1.0, 1.0)


@register_metric
class PatchInsertion(PatchMetric):
    """Insertion of whole patches."""

    name = "patch-insertion"
    better = "higher"
    across = "share put in"
    deletes = False


@register_metric
class PatchDeletion(PatchMetric):
    """Deletion of whole patches."""

    name = "patch-deletion"
    better = "lower"
    inserts = False
