"""Target objects as an `output=`: a column of scores for each, so that every method and metric takes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from explainers.errors import OutputError
from explainers.network.output import Output, describe, scores_of
from explainers.passes.activation import Reading
from explainers.targets.answer import Answer, has_positions
from explainers.targets.per_image import count_of
from explainers.targets.target import Target

Ask = Callable[[Tensor], Answer]


@dataclass(frozen=True, eq=False)
class TargetScores:
    """An `output=`: from what a network returned for n images to (n, T) scores of T settled targets.

    Where f(x) is watched it gives (n, 2 T): the scores, then f(x) of each, which `reading` picks. Every image has a
    column for the targets of every other, since nobody knows in a pass which row was made of which image.

    Args:
        targets: settled; of: the user's `output=`; size: of the images; classes: what turns class scores into f(x),
            where a target reads them; reading: of the columns, None where nobody watches f(x).
    """

    targets: tuple[Target, ...]
    of: Output | None = None
    size: tuple[int, ...] = ()
    classes: Reading | None = None
    reading: Reading | None = None

    def __call__(self, returned: Any) -> Tensor:
        """The columns.

        Raises:
            OutputError: it cannot be told for how many images this is, or a target cannot read it.
        """
        of = self.of
        if of is not None and self.listed:
            returned, of = of(returned), None  # which tells for how many images, whatever the network itself returns
        count = count_of(returned, of)
        if count is None:
            raise OutputError(f"the network returned {describe(returned)}, and it cannot be told for how many images")
        answer = Answer(returned, count, of, self.size, self.classes)
        columns = [target.score(answer) for target in self.targets]
        if self.reading is not None:
            columns += [target.watched(answer) for target in self.targets]
        like = next((column for column in columns if column.requires_grad), columns[0])
        return torch.stack([column.to(like) for column in columns], dim=1)

    def dense(self, returned: Any) -> Tensor | None:
        """Scores at each position (n, classes, *grid), where the network has those and a target may read them."""
        if all(target.reads_classes is True for target in self.targets):
            return None
        try:
            scores = Answer(returned, count_of(returned, self.of) or 0, self.of).dense_scores
        except OutputError:
            return None
        return scores if has_positions(scores, self.size) and scores.shape[2:].numel() > 1 else None

    @property
    def listed(self) -> bool:
        """Whether they are read of a list, one entry for each image: boxes."""
        return any(target.listed for target in self.targets)

    @property
    def kind(self) -> frozenset[Any]:
        """What decides which layers the scores depend on: the kinds of targets."""
        return frozenset(target.kind for target in self.targets)

    def combination(self, returned: Any, count: int) -> Tensor | None:
        """(T, classes) factors, where each target is a sum of class scores; None where one is not."""
        if not all(target.reads_classes is True for target in self.targets):
            return None
        scores = scores_of(returned, count, self.of)
        factors = torch.zeros(len(self.targets), scores.shape[1], dtype=scores.dtype, device=scores.device)
        for row, target in enumerate(self.targets):
            found = target.coefficients(scores.shape[1])
            if found is None:
                return None
            for index, factor in found.items():
                factors[row, index] = factor
        return factors


def watching(targets: tuple[Target, ...], classes: Reading | None) -> Reading:
    """What is watched of targets, in words; classes: what turns class scores into f(x)."""
    told = [target.meaning(classes) for target in targets]
    known = all(target.quantity_of(classes) == "probability" for target in targets)
    return Reading("watched", "; ".join(dict.fromkeys(told)), probability=known)
