"""What is watched of the images of a chunk where it is no class: target objects, a column of scores for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from explainers.core.explainer import Explainer
from explainers.errors import OptionError, TargetError
from explainers.passes.activation import Reading
from explainers.passes.predictor import Predictor
from explainers.targets import ClassScore, Settled, Target, settle
from explainers.targets.target_scores import TargetScores

Explain = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Watched:
    """Target objects of some images, as classes of scores of their own.

    scores: the `output=` that gives a column for each target; targets: of each image; columns: (N,) which is whose.
    """

    scores: TargetScores
    targets: tuple[Target, ...]
    columns: Tensor

    def explainer(self, explain: Explain) -> Explain:
        """An explainer that takes columns for targets; one of ours for these scores, another with the objects."""
        if isinstance(explain, Explainer):
            return explain.for_output(self.scores)

        def with_objects(images: Tensor, columns: Tensor) -> Tensor:
            found: Any = [self.scores.targets[column] for column in columns.tolist()]
            return explain(images, found)

        return with_objects

    def select(self, rows: Sequence[int]) -> Watched:
        """Those of some of the images."""
        picked = torch.tensor(list(rows), dtype=torch.int64, device="cpu")
        return replace(self, targets=tuple(self.targets[row] for row in rows), columns=self.columns[picked])


def watched(predictor: Predictor, images: Tensor, targets: Any, activation: str | Reading | None) -> Watched | Tensor:
    """Target objects as columns of scores; the classes (N,) where all of them are class scores.

    Raises:
        TargetError: several targets for an image, or one that does not fit what the network returns.
    """
    settled: Settled = settle(predictor.network, images, targets, predictor.output)
    if any(len(row) != 1 for row in settled.rows):
        raise TargetError("an evaluation watches one target per image: pass N of them, not N lists")
    each = tuple(row[0] for row in settled.rows)
    if all(isinstance(target, ClassScore) for target in each):
        return torch.tensor([target.index for target in each], device="cpu")  # type: ignore[attr-defined]
    scores = settled.scores(predictor.network, images, activation, watch=True)
    return Watched(scores, each, settled.columns()[1][:, 0])


class NeedsClasses(Protocol):
    """A metric, as far as it has to be known whether it fits what is watched."""

    name: ClassVar[str]
    needs: ClassVar[frozenset[str]]
    ratios: ClassVar[bool]


def refuse_unfit(title: str, metric: NeedsClasses, seen: Watched | None) -> None:
    """See that a metric that is made of predicted classes, or divides by f(x), is not asked of something else.

    Raises:
        OptionError: it is.
    """
    if seen is None:
        return
    if "classes" in metric.needs:
        raise OptionError(f"{title} is made of predicted classes, and {seen.targets[0].label()} is none; leave it out")
    for target in seen.targets if metric.ratios else ():
        quantity = target.quantity_of(seen.scores.classes)
        if quantity != "probability":
            raise OptionError(
                f"{title} divides by f(x), and that of {target.label()} is a {quantity}, which may be 0 or negative; "
                "use deletion, or average the drops of class scores"
            )
