"""A class of a segmentation network over a region of the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from explainers.errors import OutputError, TargetError
from explainers.network.output import describe
from explainers.passes.activation import Reading
from explainers.targets.answer import Answer
from explainers.targets.class_targets import check_class, check_in_range, class_label
from explainers.targets.grid_weights import box_weights, mask_weights
from explainers.targets.target import Target, text_of

PREDICTED = "predicted"  # where the network predicts the class
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
        where: "predicted" (where the network predicts the class), a mask (H, W) bool, a box (x0, y0, x1, y1), a pixel
            (x, y), all of the network's input, from its upper left corner; None is all positions.
        name: what tables call the region, such as "in the lesion".
    """

    quantity = "probability"
    reads_classes = "dense"

    index: int | None = None
    where: Any = None
    name: str = ""
    weights: Tensor | None = None
    """(h, w) of the output's cells, summing to 1; made when it is settled."""

    def __post_init__(self) -> None:
        check_class("Region", self.index)
        object.__setattr__(self, "where", checked_where(self.where))

    @property
    def settled(self) -> bool:
        """Whether class and region are known on the output's cells."""
        return self.weights is not None

    def settle(self, answer: Answer) -> Region:
        """With the region on the cells of the output, and the class that is predicted there for None.

        Raises:
            OutputError: the class is predicted nowhere. TargetError: the region does not lie in the image.
        """
        scores = answer.dense_scores.detach()
        if scores.ndim != 4:
            raise OutputError(
                f"Region needs scores (N, classes, h, w), and the network returned {describe(scores)}; of volumes and "
                "signals pass a function such as lambda y: y[class][mask].mean() (--target FILE.py:function)"
            )
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
                    f"class {index} is predicted nowhere in this image; explain another class, or another region of "
                    "it (--where all)"
                )
        weights = (shares / shares.sum()).to(scores.device)
        return replace(self, index=index, weights=weights)

    def _predicted(self, answer: Answer) -> Tensor:
        """(h, w) the class of each position on the CPU; of one channel 0, or 1 where it is not predicted."""
        scores = answer.dense_scores.detach()
        if scores.shape[1] > 1:
            return scores[0].argmax(dim=0).cpu()
        values = scores.sigmoid() if answer.reading is None else answer.dense_values.detach()
        return (values[0, 0] < INSIDE).long().cpu()

    def _shares(self, grid: tuple[int, ...], size: tuple[int, ...]) -> Tensor:
        """(h, w) float64: how much of each cell lies in the region."""
        if self.where is None:
            return torch.ones(grid, dtype=torch.float64, device="cpu")
        if isinstance(self.where, Tensor):
            if tuple(self.where.shape) != tuple(size):
                raise TargetError(f"Region: the mask is {tuple(self.where.shape)} and the image {tuple(size)}")
            return mask_weights(self.where, grid)
        return box_weights(self._box(size), size, grid)

    def _box(self, size: tuple[int, ...]) -> tuple[float, float, float, float]:
        x, y = self.where[:2]
        box = (x, y, x + 1, y + 1) if len(self.where) == 2 else self.where
        if box[0] < 0 or box[1] < 0 or box[2] > size[1] or box[3] > size[0]:
            raise TargetError(
                f"Region: the {_where_label(self.where)[3:]} does not lie in the image, which is {size[1]} wide, "
                f"{size[0]} high"
            )
        return box  # type: ignore[no-any-return]

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
        return (column * self.weights.to(column)).sum(dim=(1, 2))

    def outline(self, size: tuple[int, ...]) -> Tensor | None:
        """The region: (H, W) as it was given, on the output's cells where it is the predicted one."""
        if self.where is None:
            return None
        if isinstance(self.where, Tensor):
            return self.where
        if self.where == PREDICTED:
            return None if self.weights is None else self.weights > 0
        drawn = torch.zeros(tuple(size), dtype=torch.bool, device="cpu")
        x0, y0, x1, y1 = self._box(size)
        drawn[math.floor(y0) : math.ceil(y1), math.floor(x0) : math.ceil(x1)] = True
        return drawn

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
        return f"{class_label(self.index, class_names)} {self.name or _where_label(self.where)}"


def checked_where(where: Any) -> Any:
    """A region as Region keeps it: None, "predicted", a mask on the CPU, 2 or 4 plain numbers.

    Raises:
        TargetError: it is none of these, or nothing is inside.
    """
    if where is None or (isinstance(where, str) and where == PREDICTED):
        return where
    if not isinstance(where, (str, Tensor, list, tuple)) and hasattr(where, "__array__"):
        where = torch.as_tensor(where, device="cpu")
    if isinstance(where, Tensor) and where.ndim == 2:
        if where.dtype != torch.bool:
            raise TargetError(f"Region: the mask is {where.dtype}; expected bool (H, W), such as mask > 0")
        if not bool(where.any()):
            raise TargetError("Region: the mask is empty")
        return where.detach().cpu().clone()
    numbers = where.tolist() if isinstance(where, Tensor) else where
    if isinstance(numbers, (list, tuple)) and len(numbers) in (2, 4) and all(map(_is_number, numbers)):
        if len(numbers) == 2 and not all(float(each).is_integer() for each in numbers):
            raise TargetError(f"Region: pixel {tuple(numbers)}; expected whole numbers (x, y)")
        if len(numbers) == 4 and not (numbers[0] < numbers[2] and numbers[1] < numbers[3]):
            raise TargetError(f"Region: box {tuple(numbers)} is empty; expected (x0, y0, x1, y1) with x0 < x1, y0 < y1")
        return tuple(numbers)
    raise TargetError(
        f'Region: where={where!r}; expected "{PREDICTED}", a mask (H, W) bool, a box (x0, y0, x1, y1), a pixel (x, y), '
        "or None for all positions"
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _where_label(where: Any) -> str:
    if where is None:
        return "everywhere"
    if isinstance(where, str):
        return "where it is predicted"
    if isinstance(where, Tensor):
        return "in a mask"
    told = ", ".join(f"{each:g}" for each in where)
    return f"in box ({told})" if len(where) == 4 else f"at pixel ({told})"
