"""The contract of a target: one number of what a network returned for an image."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import Any, ClassVar

from torch import Tensor

from explainers.passes.activation import Reading
from explainers.passes.own_code import function_name
from explainers.targets.answer import Answer
from explainers.targets.per_image import as_batch


class Target(ABC):
    """One number of what a network returned for an image; a map shows where in the image it comes from.

    Gradients are taken of `score`. What perturbations watch is `watched`, f(x): for targets made of class scores the
    same in probabilities. Call a target with what a network returned for one image (tensors without batch dimension)
    for its score.

    Class attributes:
        quantity: what f(x) is: "probability", "difference", "similarity" or "value"; reads_classes: whether f(x) is
            made of class scores, "dense" for scores at each position; of_network: whether settling learns of the
            network alone, so that all images have one settled target; listed: whether its `output=` gives a list, one
            entry for each image.
    """

    quantity: ClassVar[str]
    reads_classes: ClassVar[bool | str] = False
    of_network: ClassVar[bool] = False
    listed: ClassVar[bool] = False

    def __call__(self, returned: Any) -> Tensor:
        """The score (a tensor without dimensions, with its graph) of one image.

        Args:
            returned: what the network returned for the image, without batch dimension.
        """
        return self.settle(Answer(as_batch(returned), 1)).score(Answer(as_batch(returned), 1))[0]

    @abstractmethod
    def score(self, answer: Answer) -> Tensor:
        """(N,) of each image of an answer, with a graph where the answer has one."""

    def watched(self, answer: Answer) -> Tensor:
        """(N,) f(x) of each image."""
        return self.score(answer)

    @property
    def settled(self) -> bool:
        """Whether it is the same number for every image, so that nothing is to be learnt of the unperturbed one."""
        return True

    def settle(self, answer: Answer) -> Target:
        """The target for one image, with what depends on the image as it is: the predicted class, region, detection.

        Args:
            answer: of that image, unperturbed (a batch of one).
        """
        return self

    def coefficients(self, classes: int) -> dict[int, float] | None:
        """Class → factor, where the score is a sum of class scores (N, classes); else None."""
        return None

    def quantity_of(self, classes: Reading | None) -> str:
        """What f(x) is where class scores are turned into it by `classes`: "score" where they stay what they are."""
        raw = self.quantity == "probability" and classes is not None and not classes.probability
        return "score" if raw else self.quantity

    def meaning(self, classes: Reading | None) -> str:
        """What f(x) is, for people, with its range where it has one; `classes` as for `quantity_of`."""
        if self.reads_classes and classes is not None:
            return str(classes)
        return f"a {self.quantity}, as it is"

    def outline(self, size: tuple[int, ...]) -> Tensor | None:
        """(*axes) bool of what is explained in an input whose axes are so long, for pictures; None: all of it."""
        return None

    @property
    def kind(self) -> Hashable:
        """Targets of one kind depend on the same layers of a network."""
        return type(self)

    @property
    def key(self) -> str:
        """Tells it from every other target, in this process and the next."""
        return f"{type(self).__name__}({', '.join(text_of(value) for value in vars(self).values())})"

    @abstractmethod
    def label(self, class_names: Sequence[str] | None = None) -> str:
        """What tables and captions call it."""


def text_of(value: Any) -> str:
    """A value as plain text that two different ones do not share."""
    if isinstance(value, Tensor):
        content = hashlib.sha256(value.detach().cpu().contiguous().numpy().tobytes()).hexdigest()[:32]
        return f"{tuple(value.shape)} {value.dtype} {content}"
    return function_name(value) if callable(value) else repr(value)
