"""A box that a detection network finds, or should: how much of it is found is explained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from explainers.errors import TargetError
from explainers.passes.activation import Reading
from explainers.targets.answer import Answer
from explainers.targets.class_targets import as_class, as_index, class_label
from explainers.targets.detection.corners import see_corners
from explainers.targets.detection.detections import Detections
from explainers.targets.detection.masks import box_masks
from explainers.targets.detection.recognised import detections_of
from explainers.targets.detection.together import together
from explainers.targets.target import Target


@dataclass(frozen=True)
class Box(Target):
    """A box in the image. f(x) is how like it the most similar detection is, as D-RISE defines it.

    f(x) = max over the detections of IoU · cosine of the class probabilities · objectness, 0 where nothing is found.
    Where a network gives label and score alone (torchvision's), a one-hot vector stands for the class probabilities, so
    that the cosine is 1 for the box's label and 0 for others, and the score stands for the objectness. Where it gives
    class probabilities and no objectness, that factor is 1, as in the paper.

    Gradients are taken of the score of the detection that is most similar to the box and overlaps it by `min_iou` or
    more (as ODAM takes it: of one instance, with the probability of the box's label where the network gives that, times
    the objectness where there is one); it is 0, with a graph, where there is none. Where the network gives candidates
    from before non-maximum suppression, both are taken of these.

    Args:
        box: x0, y0, x1, y1 in pixels of the network's input; None is a detection, the one of this `rank`.
        class_index: the label; None is any class for a box, and the detection's own where `box` is None.
        probabilities: of the classes (C,), with which others are compared; one-hot of the label by default. Alone they
            say the label too, the likeliest.
        rank: where `box` is None, which of the detections by score (of the label, if there is one), from 0.
        min_score: where `box` is None, of the detections that count.
        min_iou: what a detection must overlap the box by for a gradient, and on the image as it is for there to be
            something to explain; 0 for an object that the network all but misses.

    Source: Petsiuk et al. 2021, D-RISE (f); Zhao and Chan 2023, ODAM (the score of one instance).

    >>> Box((10, 20, 80, 90), 3), Box(rank=0), Box.of(found, 2)  # doctest: +SKIP
    """

    quantity = "similarity"
    listed = True

    box: tuple[float, float, float, float] | None = None
    class_index: int | None = None
    probabilities: tuple[float, ...] | None = None
    rank: int = 0
    min_score: float = 0.0
    min_iou: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "class_index", as_class("Box", self.class_index))
        object.__setattr__(self, "rank", as_index(self.rank))
        if self.box is not None:
            object.__setattr__(self, "box", _corners(self.box))
        if self.probabilities is not None:
            shares = _vector(self.probabilities)
            object.__setattr__(self, "probabilities", shares)
            if self.class_index is None:
                object.__setattr__(self, "class_index", shares.index(max(shares)))
        if isinstance(self.rank, bool) or not isinstance(self.rank, int) or self.rank < 0:
            raise TargetError(f"Box: rank={self.rank!r}; expected a whole number from 0, the best detection")
        for name in ("min_score", "min_iou"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
                raise TargetError(f"Box: {name}={value!r}; expected a number of 0 … 1")

    @classmethod
    def of(cls, found: Detections, index: int) -> Box:
        """One of the detections of an image, with its label and class probabilities.

        Raises:
            TargetError: there are fewer.
        """
        index = as_index(index)
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(found):
            raise TargetError(f"Box.of: detection {index!r} of {len(found)}; expected an index from 0")
        shares = None if found.probabilities is None else tuple(found.probabilities[index].tolist())
        return cls(tuple(found.boxes[index].tolist()), int(found.labels[index]), shares)

    def __call__(self, returned: Any) -> Tensor:
        """The score (a tensor without dimensions, with its graph) of one image.

        Args:
            returned: `Detections`, or what torchvision's networks return for one image: boxes in pixels.
        """
        answer = Answer([returned], 1)
        return self.settle(answer).score(answer)[0]

    @property
    def settled(self) -> bool:
        """Never before it was seen on its image that something there is like it."""
        return False

    def settle(self, answer: Answer) -> Box:
        """The box of this rank for None; and whether a detection matches.

        Raises:
            TargetError: fewer detections; the box is outside the image; no detection matches it.
        """
        found = answer.form(detections_of)[0]
        see_corners(found, answer.size)
        if self.box is None:
            return self._ranked(found.detach())
        if answer.size and not _overlap(self.box, answer.size):
            height, width = answer.size
            raise TargetError(f"{self.label()}: the box is outside the image, which is {width}x{height} pixels")
        self._check_label(found)
        likeness, overlap = self._compared(found.raw.detach())
        best = float(overlap[likeness > 0].max()) if bool((likeness > 0).any()) else 0.0
        if best == 0 or best < self.min_iou:
            raise TargetError(self._unmatched(found, best))
        return self

    def _ranked(self, found: Detections) -> Box:
        left = found.listed(self.min_score, self.class_index)
        if self.rank >= len(left):
            kind = "" if self.class_index is None else f" of class {self.class_index}"
            best = f"; the best score is {float(found.scores.max()):.3g}" if len(found) and not len(left) else ""
            raise TargetError(
                f"there is no detection{kind} of rank {self.rank} (0 is the best): the network finds {len(left)} with "
                f"a score of at least {self.min_score:g} in this image{best}"
            )
        picked = Box.of(left, self.rank)
        return replace(picked, min_iou=self.min_iou)

    def _unmatched(self, found: Detections, best: float) -> str:
        listed = found.detach().listed()
        rows = zip(listed.boxes[:3].tolist(), listed.labels[:3].tolist(), listed.scores[:3].tolist(), strict=True)
        told = "; ".join(f"{_named(box)} class {label} {score:.2f}" for box, label, score in rows)
        seen = f"its best detections are {told}" if told else "it finds nothing there"
        if not best:
            return f"{self.label()}: no detection of it overlaps the box, so there is nothing to explain ({seen})"
        return (
            f"{self.label()}: the best overlap of a detection with the box is an IoU of {best:.2f}, under "
            f"min_iou={self.min_iou:g} ({seen}); choose one of these, or min_iou=0 for an object that is all but missed"
        )

    def _check_label(self, found: Detections) -> None:
        shares = found.raw.probabilities
        if shares is None:
            return
        classes = shares.shape[1]
        if self.class_index is not None and self.class_index >= classes:
            raise TargetError(f"Box: class {self.class_index} is out of range: the network has 0 … {classes - 1}")
        if self.probabilities is not None and len(self.probabilities) != classes:
            raise TargetError(f"Box: {len(self.probabilities)} probabilities, and the network has {classes} classes")

    def score(self, answer: Answer) -> Tensor:
        """The score of the detection that matches the box, or 0."""
        whole = answer.form(together)
        found = whole.found
        with torch.no_grad():
            likeness, overlap = self._compared(found.detach())
            likeness = torch.where(overlap >= self.min_iou, likeness, 0)
            best = whole.first_of(likeness, whole.largest(likeness))
        # The last one is what there is where nothing matches. A product, which is a probability by definition: the word
        # on logits in `warn_if_normalised` is of classifiers. By a number: a factor for each image is a mask to methods
        # that change the rule of ReLUs, as a choice between two scores would be.
        every = torch.cat([found.scores, found.zero()[None]])
        return self._of_class(every[best], best, found) * 1.0

    def _of_class(self, scores: Tensor, best: Tensor, found: Detections) -> Tensor:
        """(N,) scores of the box's class: where another one is the label of the detection, its share of it."""
        shares = found.probabilities
        if shares is None or self.class_index is None or not len(found):
            return scores
        labels = torch.cat([found.labels.long(), found.labels.new_full((1,), self.class_index).long()])[best]
        others = (labels != self.class_index).nonzero()[:, 0].tolist()
        if not others:
            return scores
        parts = list(scores.unbind())
        for image in others:
            own = shares[best[image]]
            parts[image] = (
                parts[image] * own[self.class_index] / own[labels[image]].clamp(min=torch.finfo(own.dtype).tiny)
            )
        return torch.stack(parts)

    def watched(self, answer: Answer) -> Tensor:
        """The largest likeness of a detection, 0 … 1."""
        whole = answer.form(together)
        return whole.largest(self._compared(whole.found.detach())[0])

    def _compared(self, found: Detections) -> tuple[Tensor, Tensor]:
        """(D,) IoU · cosine · objectness of each detection, and (D,) its IoU."""
        assert self.box is not None
        overlap = box_iou(self.box, found.boxes)
        return overlap * self._class_likeness(found) * _objectness(found), overlap

    def _class_likeness(self, found: Detections) -> Tensor:
        """(D,) cosines of class probabilities."""
        shares = found.probabilities
        if self.class_index is None:
            return torch.ones_like(found.scores)
        if shares is None:
            return torch.eq(found.labels, self.class_index).to(found.scores)
        own = torch.zeros_like(shares[:1]) if len(shares) else shares.new_zeros((1, shares.shape[1]))
        if self.probabilities is not None:
            own = shares.new_tensor(self.probabilities)[None]
        else:
            own[0, self.class_index] = 1
        return torch.nn.functional.cosine_similarity(own, shares, dim=1)

    def outline(self, size: tuple[int, ...]) -> Tensor | None:
        """The box."""
        return None if self.box is None or not _overlap(self.box, size) else box_masks([self.box], size[:2])[0]  # type: ignore[arg-type]

    def meaning(self, classes: Reading | None) -> str:
        """A likeness of boxes, which is never below 0."""
        return "how like the box the best detection is (IoU × likeness of the class × objectness or score), 0 to 1"

    def label(self, class_names: Sequence[str] | None = None) -> str:
        """CLASS at x0 y0 x1 y1."""
        name = "object" if self.class_index is None else class_label(self.class_index, class_names)
        return f"{name} {_named(self.box)}" if self.box is not None else f"detection {self.rank + 1}"


def box_iou(box: Sequence[float], others: Tensor) -> Tensor:
    """(D,) intersection over union of a box with others (D, 4); 0 for those without area."""
    others = others if others.is_floating_point() else others.float()
    own = others.new_tensor(box)
    low, high = torch.maximum(own[:2], others[:, :2]), torch.minimum(own[2:], others[:, 2:])
    shared = (high - low).clamp(min=0).prod(dim=1)
    area = (others[:, 2:] - others[:, :2]).clamp(min=0).prod(dim=1)
    union = (own[2:] - own[:2]).prod() + area - shared
    return shared / union


def _objectness(found: Detections) -> Tensor:
    if found.objectness is not None:
        return found.objectness
    return found.scores if found.probabilities is None else torch.ones_like(found.scores)


def _corners(given: Any) -> tuple[float, float, float, float]:
    values = given.tolist() if hasattr(given, "tolist") else given
    try:
        x0, y0, x1, y1 = map(float, values)
    except (TypeError, ValueError) as error:
        raise TargetError(f"Box: {given!r} is no box; expected x0, y0, x1, y1 in pixels") from error
    if not all(map(math.isfinite, (x0, y0, x1, y1))):
        raise TargetError(f"Box: {_named((x0, y0, x1, y1))} is not finite")
    if x1 <= x0 or y1 <= y0:
        raise TargetError(
            f"Box: {_named((x0, y0, x1, y1))} has no area; expected x0 < x1 and y0 < y1 (corners, not centre and size)"
        )
    return x0, y0, x1, y1


def _vector(given: Any) -> tuple[float, ...]:
    values = tuple(map(float, given.tolist() if hasattr(given, "tolist") else given))
    if not values or min(values) < 0 or not all(map(math.isfinite, values)) or max(values) == 0:
        raise TargetError("Box: probabilities are not finite, negative or all 0")
    return values


def _overlap(box: Sequence[float], size: Sequence[int]) -> bool:
    return box[0] < size[1] and box[1] < size[0] and box[2] > 0 and box[3] > 0


def _named(box: Sequence[float]) -> str:
    return "[" + " ".join(f"{value:.0f}" if abs(value) >= 10 else f"{value:.3g}" for value in box) + "]"
