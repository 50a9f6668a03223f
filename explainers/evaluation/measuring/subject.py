"""What a metric gets, what it asks for on its way, and what it says in the end."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from explainers.evaluation.measuring.chunk import Chunk
from explainers.evaluation.measuring.curves import Curve, Walks
from explainers.evaluation.measuring.passes import Job, Passes, Seen

Explain = Callable[[Tensor, Tensor], Tensor]  # (images, targets (N,)) → maps (N, *axes)
Measuring = Generator[Sequence[Job], Sequence[Seen], "list[Measured]"]


@dataclass(frozen=True)
class Measured:
    """What a metric says of one map.

    value: NaN where it is not defined; curve: where there is one; parts: what values over a data set are computed from,
    where they are no means; details: more columns; settings: what tells this value from others of the same metric.
    """

    value: float
    curve: Curve | None = None
    parts: np.ndarray | None = None
    details: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class Subject:
    """The maps of one explainer on the images of a chunk, and what metrics may use to judge them.

    maps: (N, *axes) float32, finite; explain: the explainer, or None where the maps came from files; network: what is
    explained; passes: runs perturbed images; others: gives the maps of another explainer of the evaluation.
    """

    chunk: Chunk
    maps: Tensor
    explain: Explain | None
    network: Any
    passes: Passes
    others: Callable[[str], Tensor]
    walks: Walks = field(init=False)
    shared: dict[str, Seen | None] = field(default_factory=dict)
    """Answers that several metrics use; None while they are on their way."""

    def __post_init__(self) -> None:
        self.walks = Walks(self.chunk, self.maps)

    def masks(self) -> Tensor:
        """(N, *axes) bool; the engine has seen to it that metrics that need them get some."""
        assert self.chunk.masks is not None
        return self.chunk.masks
