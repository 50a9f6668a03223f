"""The detections of all images of an answer side by side, so that a box is compared with all of them at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from explainers.errors import OutputError
from explainers.targets.answer import Answer
from explainers.targets.detection.detections import Detections
from explainers.targets.detection.recognised import detections_of


@dataclass(frozen=True, eq=False)
class Together:
    """The raw detections of all images, one after the other; image: (D,) whose each is; count: of the images."""

    found: Detections
    image: Tensor
    count: int

    def largest(self, values: Tensor) -> Tensor:
        """(count,) the largest value (D,) of each image, 0 where there is none above."""
        none = values.new_zeros(self.count)
        return none.scatter_reduce(0, self.image, values, "amax")

    def first_of(self, values: Tensor, largest: Tensor) -> Tensor:
        """(count,) the first detection of each image that has its largest value (D,), `len(values)` where all are 0."""
        places = torch.arange(len(values), device=values.device)
        reached = (values > 0) & (values == largest[self.image])
        none = places.new_full((self.count,), len(values))
        return none.scatter_reduce(0, self.image, torch.where(reached, places, len(values)), "amin")


def together(answer: Answer) -> Together:
    """The raw detections of an answer's images.

    Raises:
        OutputError: some images have class probabilities or objectness, and others have not.
    """
    each = [found.raw for found in answer.form(detections_of)]
    sizes = torch.tensor([len(found) for found in each], device="cpu")
    image = torch.arange(len(each), device="cpu").repeat_interleave(sizes).to(each[0].boxes.device)

    def joined(name: str) -> Tensor | None:
        parts = [getattr(found, name) for found in each]
        if all(part is None for part in parts):
            return None
        if any(part is None for part in parts) or len({part.shape[1:] for part in parts}) > 1:
            raise OutputError(f"the detections of some images have {name} and those of others have not, or other ones")
        return torch.cat(parts)

    boxes, scores, labels = joined("boxes"), joined("scores"), joined("labels")
    assert boxes is not None
    assert scores is not None
    assert labels is not None
    return Together(Detections(boxes, scores, labels, joined("probabilities"), joined("objectness")), image, len(each))
