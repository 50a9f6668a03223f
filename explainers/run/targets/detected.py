"""What a detection network finds in each image as what a run explains: the best detections, as many as there are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from explainers.errors import OptionError
from explainers.models import LoadedModel
from explainers.models.loaded import target_name
from explainers.network.output import Output
from explainers.network.unwrapping import as_network
from explainers.run.targets.wanted import Asked, Part, Told, Wanted
from explainers.targets import Answer, Box, Detections, Settled, answers_for, settle
from explainers.targets.detection import check_min_score, detections_of, see_corners
from explainers.targets.target_scores import watching


@dataclass(frozen=True)
class Detected:
    """Says that a run explains what a detection network finds: the best `count` of each image that score `min_score`
    or more.

    Raises:
        OptionError: no such number, or no such score.
    """

    count: int = 3
    min_score: float = 0.5

    def __post_init__(self) -> None:
        if isinstance(self.count, bool) or not isinstance(self.count, int) or self.count < 1:
            raise OptionError(f"detections={self.count!r}; expected a number of at least 1")
        check_min_score(self.min_score)

    @property
    def key(self) -> str:
        """Tells it from others."""
        return repr(self)

    def chosen(self, found: Detections, size: Sequence[int]) -> Detections:
        """The best of an image of (h, w) that score enough and hold the centre of a pixel, so that there is something
        to see of them."""
        listed = found.listed(self.min_score)
        rows = [row for row, box in enumerate(listed.boxes.tolist()) if _holds_pixel(box, size)]
        return listed[rows[: self.count]]

    def nothing(self, found: Detections) -> str:
        """Why none of the detections of an image is chosen."""
        least = f"a score of at least {self.min_score:g}"
        if outside := len(found.listed(self.min_score)):
            return f"no detection with {least} lies in the image ({outside} outside of it, or within a pixel)"
        if empty := int((found.scores >= self.min_score).sum()):
            return f"no detection with {least} has an area ({empty} with x1 <= x0 or y1 <= y0; are these corners?)"
        best = (
            f"; the best has {float(found.scores.max()):.3g}"
            if len(found)
            else "; the network returns no box (many drop low scores themselves)"
        )
        return f"no detection has {least}{best}"


def box_caption(name: str, columns: Mapping[str, Any]) -> str:
    """Which detection of its image it is, of what, and its score: "#1 cat 0.87", "#1 class 3 0.87" without names.

    Args:
        columns: of its row in the table.
    """
    named = f"class {name}" if name.isdecimal() else name
    return f"#{columns['detection']} {named} {columns['score']:.2f}"


def _holds_pixel(box: Sequence[float], size: Sequence[int]) -> bool:
    """Whether the centre of a pixel lies in a box x0, y0, x1, y1, as `box_masks` sees it."""
    return all(
        max(math.ceil(low - 0.5), 0) < min(math.ceil(high - 0.5), side)
        for low, high, side in zip(box[:2], box[2:], (size[1], size[0]), strict=True)
    )


@dataclass
class FoundBoxes(Wanted):
    """The best detections of each image. Boxes of one image share the passes of perturbation methods."""

    loaded: LoadedModel
    detected: Detected
    output: Output | None = None
    told_of: str | None = field(default=None, init=False)

    @property
    def activation(self) -> str | None:
        """What gives f(x)."""
        return self.told_of

    def of(self, images: Tensor, names: Sequence[str], given: Sequence[Any]) -> AskedBoxes:
        """The detections of a batch, in one pass."""
        network = as_network(self.loaded)
        answers = answers_for(network, images, self.output)
        every = [answer.form(detections_of)[0].detach() for answer in answers]
        for seen in every:
            see_corners(seen, images.shape[2:])
        found = [self.detected.chosen(each, images.shape[2:]) for each in every]
        rows = [row for row, each in enumerate(found) if len(each)]
        boxes = [[Box.of(found[row], place) for place in range(len(found[row]))] for row in rows]
        most = max(map(len, boxes), default=0)
        filled = [row + row[-1:] * (most - len(row)) for row in boxes]  # whose maps are left out
        settled, values = None, []
        if rows:
            kept = [answers[row] for row in rows]
            settled = settle(network, images[rows], filled, self.output, kept)
            values = settled.values(network, images[rows], kept)
            self.told_of = str(watching(settled.rows[0], None))
        told = [self._nothing(each) for each in every]
        for row, each in zip(rows, values, strict=True):
            told[row] = self._told(found[row], boxes[rows.index(row)], each, answers[row])
        return AskedBoxes(settled, rows, told)

    def _told(self, found: Detections, boxes: Sequence[Box], values: Sequence[float], answer: Answer) -> Told:
        classes = None if found.probabilities is None else found.probabilities.shape[1]
        parts = []
        for rank, box in enumerate(boxes):
            outline, label, score = box.outline(answer.size), int(found.labels[rank]), float(found.scores[rank])
            parts.append(
                Part(
                    label,
                    target_name(label, self.loaded.class_names, classes or label + 1),
                    round(values[rank], 6),
                    box.quantity,
                    f"{rank + 1}",
                    None if outline is None else outline.cpu(),
                    {"detection": rank + 1, "score": round(score, 6)},
                    box.box,
                )
            )
        return Told(tuple(parts), self.told_of or "")

    def _nothing(self, found: Detections) -> Told:
        return Told((), "", nothing=self.detected.nothing(found))


@dataclass
class AskedBoxes(Asked):
    """The detections of one batch."""

    settled: Settled | None
    explained: Sequence[int]
    each: list[Told]

    @property
    def targets(self) -> Any:
        """One list of boxes for each image in which something was found."""
        return self.settled

    def rows(self, count: int) -> list[int]:
        """The images in which something was found."""
        return list(self.explained)

    def told(self) -> list[Told]:
        """What was found in each image."""
        return self.each
