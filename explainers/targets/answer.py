"""What a network returned for some images, in the forms that targets read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor

from explainers.errors import OutputError
from explainers.network.ends import see_order
from explainers.network.output import Output, describe, main_output, scores_of
from explainers.network.queries import class_map
from explainers.passes.activation import Reading
from explainers.targets.per_image import image_of

Form = TypeVar("Form")
AXES = {1: ("l",), 2: ("h", "w"), 3: ("d", "h", "w")}  # of outputs of signals, images, volumes


@dataclass(eq=False, frozen=True)
class Answer:
    """What a network returned for `count` images. Its forms are made when a target first asks for them, once for all.

    returned: by the network; output: the user's `output=`; size: of the images that went in, or (); reading: what turns
    class scores into f(x), None where nobody watches; ask: from images (N, C, …) as the network takes them to its
    answer, None where there is no network at hand.
    """

    returned: Any
    count: int
    output: Output | None = None
    size: tuple[int, ...] = ()
    reading: Reading | None = None
    ask: Callable[[Tensor], Answer] | None = None
    _forms: dict[Any, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def picked(self) -> Any:
        """What `output=` makes of it, or what there is by itself: a tensor, a mapping's `logits` or `out`, or what
        `of_queries` has."""
        if self.output is not None:
            return self.output(self.returned)
        return main_output(self.returned) if self.of_queries is None else self.of_queries

    @cached_property
    def of_queries(self) -> Tensor | None:
        """(N, classes, h, w) of a network that predicts a set of masks, sums of products of probabilities."""
        return class_map(self.returned) if self.output is None else None

    @cached_property
    def scores(self) -> Tensor:
        """Class scores (N, classes).

        Raises:
            OutputError: the network has none.
        """
        return scores_of(self.returned, self.count, self.output)

    @cached_property
    def values(self) -> Tensor:
        """f(x) of each class (N, classes)."""
        assert self.reading is not None
        return self.reading(self.scores)

    @cached_property
    def dense_scores(self) -> Tensor:
        """Class scores at each position (N, classes, h, w), or of as many axes as there are, of a segmentation network.

        Raises:
            OutputError: the network has none, they have their classes elsewhere, or the smallest is that of the
                likeliest class.
        """
        value = self.picked
        if not isinstance(value, Tensor) or value.ndim < 3 or not value.is_floating_point() or len(value) != self.count:
            raise OutputError(positions_needed(value, self.size))
        if _misplaced(value, self.size):
            raise OutputError(positions_needed(value, self.size))
        if not bool(torch.isfinite(value.detach()).all()):
            raise OutputError("the network's scores are NaN or infinite at some positions")
        see_order(value)
        return value

    @property
    def at_positions(self) -> bool:
        """Whether it has class scores at positions like those of the input, whatever their values are."""
        try:
            value = self.picked
        except OutputError:
            return False
        dense = isinstance(value, Tensor) and value.is_floating_point() and len(value) == self.count
        return dense and has_positions(value, self.size) and not _misplaced(value, self.size)

    @property
    def misplaced(self) -> bool:
        """Whether it has scores at the positions of the input, and their classes last or not at all."""
        try:
            value = self.picked
        except OutputError:
            return False
        return isinstance(value, Tensor) and value.ndim > 2 and _misplaced(value, self.size)

    @cached_property
    def dense_values(self) -> Tensor:
        """f(x) of each class at each position, as `dense_scores`."""
        assert self.reading is not None
        rows = self.dense_scores.movedim(1, -1)
        return self.reading(rows.reshape(-1, rows.shape[-1])).view(rows.shape).movedim(-1, 1)

    def form(self, make: Callable[[Answer], Form]) -> Form:
        """What a target of its own kind makes of it, made once for all targets."""
        if make not in self._forms:
            self._forms[make] = make(self)
        return self._forms[make]  # type: ignore[no-any-return]

    def of_image(self, index: int) -> Answer:
        """The answer for one of the images, as a batch of one."""
        return replace(self, returned=image_of(self.returned, index, self.count, batched=True), count=1, _forms={})


def has_positions(scores: Tensor, size: tuple[int, ...]) -> bool:
    """Whether scores (N, classes, *grid) are at positions like those of inputs of this size, () for any: of as many
    axes, or of the rows and columns of a picture that a network makes of a volume or signal."""
    return scores.ndim > 2 and (not size or scores.ndim - 2 in (len(size), 2))


def positions_needed(value: Any, size: tuple[int, ...] = (), who: str = "the target") -> str:
    """That scores at positions are needed, what there is instead, and how to pass them."""
    axes = ", ".join(("classes", *AXES.get(len(size), AXES[2])))
    told = f"{who} needs scores at each position, (N, {axes}), and the network returned {describe(value)}"
    if isinstance(value, Tensor) and size and tuple(value.shape[1:]) == size:
        return f"{told}, without an axis of classes; add it: output=lambda y: y[:, None] (--output FILE.py:function)"
    if isinstance(value, Tensor) and _misplaced(value, size):
        return (
            f"{told}, with its classes last; move them: output=lambda y: y.movedim(-1, 1) (--output FILE.py:function)"
        )
    return f"{told}; pass output= (--output) to pick them"


def _misplaced(value: Tensor, size: tuple[int, ...]) -> bool:
    """Whether the classes of positions like those of the input come last, or have no axis."""
    last = tuple(value.shape[1:-1]) == size and tuple(value.shape[2:]) != size
    return bool(size) and (last or tuple(value.shape[1:]) == size)
