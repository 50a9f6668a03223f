"""What a detection network found in one image, in one form for all networks."""

from __future__ import annotations

import copy
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from explainers.errors import OutputError
from explainers.network.output import describe

SHARES = ("scores", "objectness", "probabilities")  # of 0 … 1
ROUNDED = 1e-2  # beyond, in half precision


@dataclass(frozen=True, eq=False)
class Detections:
    """D detections of one image. An adapter, the `output=` of a detection network, returns a list of them, for each
    image one.

    boxes: (D, 4) as x0, y0, x1, y1 in pixels of the network's input; scores: (D,), 0 … 1; labels: (D,) classes;
    probabilities: (D, C) of the classes, without background, or None; objectness: (D,) that there is an object of any
    class, or None; candidates: all boxes before non-maximum suppression and thresholds, where the network gives them:
    f(x) and gradients are then taken of these.

    Tensors should keep their graph, for methods that need gradients.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    probabilities: Tensor | None = None
    objectness: Tensor | None = None
    candidates: Detections | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def raw(self) -> Detections:
        """The candidates, or these where there are none."""
        return self if self.candidates is None else self.candidates

    def __getitem__(self, rows: Any) -> Detections:
        """Some of the detections, by a mask or by indices (D',)."""
        return Detections(
            self.boxes[rows],
            self.scores[rows],
            self.labels[rows],
            None if self.probabilities is None else self.probabilities[rows],
            None if self.objectness is None else self.objectness[rows],
        )

    def listed(self, min_score: float = 0.0, class_index: int | None = None) -> Detections:
        """Those that can be explained, the best first, equal ones in the network's order: with an area, of this score
        and class."""
        fit = (self.boxes[:, 2:] > self.boxes[:, :2]).all(dim=1) & (self.scores >= min_score)
        if class_index is not None:
            fit &= self.labels == class_index
        rows = self.scores.detach().argsort(descending=True, stable=True)
        return self[rows[fit[rows]]]

    def detach(self) -> Detections:
        """Without a graph."""
        other = copy.copy(self)
        for field in fields(self):
            value = getattr(self, field.name)
            object.__setattr__(other, field.name, None if value is None else value.detach())
        return other

    def zero(self) -> Tensor:
        """A zero that has the graph of these detections: what nothing scores."""
        parts = [self.scores, self.boxes, self.probabilities, self.objectness]
        live = [part.sum() * 0 for part in parts if part is not None and part.requires_grad]
        return torch.stack(live).sum() if live else self.scores.new_zeros(())


def checked(value: Any, source: str) -> Detections:
    """Detections whose shapes fit each other, with finite values.

    Raises:
        OutputError: they are not; `source` says whose they are.
    """
    if not isinstance(value, Detections):
        raise OutputError(f"{source} gives {describe(value)} for an image; expected explainers.targets.Detections")
    count = len(value.boxes) if isinstance(value.boxes, Tensor) and value.boxes.ndim else -1
    shapes = {"boxes": (count, 4), "scores": (count,), "labels": (count,), "objectness": (count,)}
    for name, shape in shapes.items():
        part = getattr(value, name)
        if part is None and name == "objectness":
            continue
        if not isinstance(part, Tensor) or tuple(part.shape) != shape:
            wanted = "(D, 4)" if name == "boxes" else f"(D,) with D = {count}"
            raise OutputError(f"{source}: {name} are {describe(part)}; expected a tensor {wanted}")
    if value.labels.is_floating_point() or value.labels.dtype == torch.bool:
        raise OutputError(f"{source}: labels are {value.labels.dtype}; expected classes as whole numbers")
    if count and int(value.labels.min()) < 0:
        raise OutputError(f"{source}: a label is {int(value.labels.min())}; expected classes from 0")
    if value.probabilities is not None:
        _check_probabilities(value, source)
    for name in ("boxes", *SHARES):
        part = getattr(value, name)
        if part is None:
            continue
        if not bool(torch.isfinite(part.detach()).all()):
            raise OutputError(f"{source}: some {name} are NaN or infinite; check the weights and the images' scale")
        if name in SHARES and part.numel():
            _check_shares(part, f"{source}: {name}")
    if value.candidates is not None:
        checked(value.candidates, f"{source} (candidates)")
    return value


def _check_shares(part: Tensor, name: str) -> None:
    """See that logits or percentages are not taken for probabilities."""
    least, most = map(float, part.detach().aminmax())
    if least < -ROUNDED or most > 1 + ROUNDED:
        hint = "divide by 100" if least >= 0 and most > 2 else "logits become probabilities by a sigmoid or softmax"
        raise OutputError(f"{name} are {least:.3g} … {most:.3g}; expected 0 … 1 ({hint})")


def _check_probabilities(value: Detections, source: str) -> None:
    part = value.probabilities
    if not isinstance(part, Tensor) or part.ndim != 2 or len(part) != len(value):
        raise OutputError(f"{source}: probabilities are {describe(part)}; expected (D, C) with D = {len(value)}")
    if len(value) and not 0 <= int(value.labels.min()) <= int(value.labels.max()) < part.shape[1]:
        raise OutputError(
            f"{source}: labels {int(value.labels.min())} … {int(value.labels.max())} do not fit probabilities of "
            f"{part.shape[1]} classes; label c is column c"
        )
