"""A target of the user's own: a function of what the network returned for one image."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from explainers.errors import OutputError, TargetError
from explainers.network.output import describe, tensors_in
from explainers.targets.answer import Answer
from explainers.targets.per_image import image_of
from explainers.targets.target import Target


@dataclass(frozen=True, eq=False)
class Function(Target):
    """A function from what the network returned for one image (tensors without batch dimension) to one number.

    The number is explained as it is: gradients are taken of it and perturbations watch it.

    Args:
        function: it must be made of torch operations for methods that need gradients.
        name: what tables call it; its own name by default.
    """

    quantity = "value"

    function: Callable[[Any], Tensor]
    name: str = ""

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise TargetError(f"Function: {self.function!r} cannot be called")

    def score(self, answer: Answer) -> Tensor:
        """One call for each image.

        Raises:
            OutputError: the function raises, or gives NaN or infinity where the network returned finite numbers.
            TargetError: it gives no number.
        """
        numbers = torch.stack([self._one(answer, index) for index in range(answer.count)])
        if not bool(torch.isfinite(numbers.detach()).all()):
            returned = answer.returned if answer.output is None else answer.picked
            finite = [bool(part.detach().isfinite().all()) for part in tensors_in(returned)]
            if all(finite):  # else it is the network
                raise OutputError(
                    f"target {self.label()}: gave NaN or infinity, and all that the network returned is finite; look "
                    "at its logarithms, roots and divisions"
                )
        return numbers

    def _one(self, answer: Answer, index: int) -> Tensor:
        returned = answer.returned if answer.output is None else answer.picked
        one = image_of(returned, index, answer.count, batched=False)
        try:
            value = self.function(one)
        except Exception as error:  # whatever a user's function raises on every image
            raise OutputError(
                f"target {self.label()}: {type(error).__name__}: {error} (it was given {describe(one)}, of one image)"
            ) from error
        if isinstance(value, Tensor) and value.numel() == 1 and value.is_floating_point():
            return value.reshape(())
        if isinstance(value, float):
            return torch.tensor(value, dtype=torch.float32, device="cpu")
        raise TargetError(
            f"target {self.label()}: gave {describe(value)} for one image; expected one number (it was given "
            f"{describe(one)}). A function that chooses classes returns whole numbers for (N, classes) scores"
        )

    @property
    def kind(self) -> Hashable:
        """Each function may read something else."""
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Function) and self.function is other.function and self.name == other.name

    def __hash__(self) -> int:  # of any callable, also one that cannot be hashed
        return hash((id(self.function), self.name))

    def label(self, class_names: Sequence[str] | None = None) -> str:
        """The function's name."""
        return self.name or getattr(self.function, "__name__", type(self.function).__name__)
