"""A class of a segmentation network over a region of an image, a volume or a signal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from explainers.errors import OutputError, TargetError
from explainers.passes.activation import Reading
from explainers.targets.answer import Answer, has_positions, positions_needed
from explainers.targets.class_targets import as_class, check_in_range, class_label
from explainers.targets.target import Target, text_of
from explainers.targets.where import (
    NAMES,
    PREDICTED,
    box_weights,
    checked_where,
    drawn_spans,
    mask_weights,
    spans_of,
    where_label,
)

INSIDE = 0.5  # probability from which the one class of a network with one channel is predicted


@dataclass(frozen=True, eq=False)
class Region(Target):
    """The mean score of a class over a region; f(x) is its mean probability there.

    The target of Seg-Grad-CAM (Vinogradova et al. 2020), which sums the scores: the same map up to a factor. The region
    is settled on the unperturbed image and stays where it is while the image is perturbed. Where the network's output
    is coarser than the image, each of its cells counts with the share of it that the region covers, so that a region
    smaller than a cell is that cell. Gradient, perturbation and layer methods take it as every target.

    Args:
        index: the class; None is the one that the network predicts at most positions of the region (of the whole image
            where the region is "predicted"). A network with one channel has the class 0, its score through a sigmoid.
        where: "predicted" (where the network predicts the class); a bool mask of the network's input, (H, W), (D, H, W)
            or (L,); of an image a box (x0, y0, x1, y1) or a pixel (x, y) from its upper left corner; of any input
            (start, stop) of each axis in its order, as `roi=` of RISE, such as ((4, 9), (0, 20), (8, 16)); a voxel
            (a, b, c) or a sample (t,), of each axis an index; None is all positions.
        name: what tables call the region, such as "in the lesion".
    """

    quantity = "probability"
    reads_classes = "dense"

    index: int | None = None
    where: Any = None
    name: str = ""
    weights: Tensor | None = None
    """Of the output's cells (h, w), or of as many axes as they have, summing to 1; made when it is settled."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", as_class("Region", self.index))
        object.__setattr__(self, "where", checked_where(self.where))

    @property
    def settled(self) -> bool:
        """Whether class and region are known on the output's cells."""
        return self.weights is not None

    def settle(self, answer: Answer) -> Region:
        """With the region on the cells of the output, and the class that is predicted there for None.

        Raises:
            OutputError: the network has no scores at the input's positions, or the class is predicted nowhere.
            TargetError: the region does not lie in the input.
        """
        scores = answer.dense_scores.detach()
        if not has_positions(scores, answer.size):
            raise OutputError(positions_needed(scores, answer.size, "Region"))
        grid, size = tuple(scores.shape[2:]), answer.size or tuple(scores.shape[2:])
        predicted = self._predicted(answer)
        if self.where == PREDICTED:
            shares = torch.ones(grid, dtype=torch.float64, device="cpu")
        else:
            shares = self._shares(grid, size)
        index = self.index
        if index is None:
            index = int(torch.bincount(predicted.flatten(), shares.flatten(), scores.shape[1] + 1)[:-1].argmax())
        check_in_range(index, scores)
        if isinstance(self.where, str):
            shares = (predicted == index).double()
            if not bool(shares.any()):
                raise OutputError(
                    f"class {index} is predicted nowhere in this {NAMES.get(len(size), 'input')}; explain another "
                    "class, or another region of it (--where all)"
                )
        weights = (shares / shares.sum()).to(scores.device)
        return replace(self, index=index, weights=weights)

    def _predicted(self, answer: Answer) -> Tensor:
        """(*grid) the class of each position on the CPU; of one channel 0, or 1 where it is not predicted."""
        scores = answer.dense_scores.detach()
        if scores.shape[1] > 1:
            return scores[0].argmax(dim=0).cpu()
        values = scores.sigmoid() if answer.reading is None else answer.dense_values.detach()
        return (values[0, 0] < INSIDE).long().cpu()

    def _shares(self, grid: tuple[int, ...], size: tuple[int, ...]) -> Tensor:
        """(*grid) float64: how much of each cell lies in the region."""
        if self.where is None:
            return torch.ones(grid, dtype=torch.float64, device="cpu")
        if len(grid) != len(size):
            raise TargetError(
                f"Region: the output has positions of its own, {grid}, which say nothing of a place in the "
                f'{NAMES[len(size)]} {size}; pass None for all of them, or "{PREDICTED}"'
            )
        if isinstance(self.where, Tensor):
            if tuple(self.where.shape) != tuple(size):
                what = NAMES.get(len(size), "input")
                raise TargetError(f"Region: the mask is {tuple(self.where.shape)} and the {what} {tuple(size)}")
            return mask_weights(self.where, grid)
        return box_weights(spans_of(self.where, size), size, grid)

    def score(self, answer: Answer) -> Tensor:
        """Mean score of the class over the region."""
        return self._mean(answer.dense_scores)

    def watched(self, answer: Answer) -> Tensor:
        """Mean probability of the class over the region."""
        return self._mean(answer.dense_values)

    def _mean(self, values: Tensor) -> Tensor:
        if self.weights is None:
            raise TargetError("Region: settle it on the unperturbed image first, which fixes its place")
        if tuple(values.shape[2:]) != tuple(self.weights.shape):
            raise OutputError(
                f"the region was settled on an output of {tuple(self.weights.shape)} positions, and this one has "
                f"{tuple(values.shape[2:])}"
            )
        column = values[:, check_in_range(self.index, values)]
        return (column * self.weights.to(column)).sum(dim=tuple(range(1, column.ndim)))

    def outline(self, size: tuple[int, ...]) -> Tensor | None:
        """The region: (*axes) as it was given, on the output's cells where it is the predicted one."""
        if self.where is None:
            return None
        if isinstance(self.where, Tensor):
            return self.where
        if self.where == PREDICTED:
            known = self.weights is not None and self.weights.ndim == len(size)
            return self.weights > 0 if known and self.weights is not None else None
        return drawn_spans(spans_of(self.where, size), size)

    @property
    def key(self) -> str:
        """Class, region and, once settled, its cells."""
        return f"Region({self.index}, {text_of(self.where)}, {text_of(self.weights)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Region) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def meaning(self, classes: Reading | None) -> str:
        """A mean over positions, and of what."""
        return f"the mean {self.quantity_of(classes)} of the class over the region; {super().meaning(classes)}"

    def label(self, class_names: Sequence[str] | None = None) -> str:
        """The class and where."""
        return f"{class_label(self.index, class_names)} {self.name or where_label(self.where)}"
