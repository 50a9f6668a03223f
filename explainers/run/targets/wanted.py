"""The contract of what a run explains of each image: classes, target objects, or whatever a network finds in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from explainers.core.explainer import Explainer
from explainers.storage.journal import Row


@dataclass(frozen=True)
class Part:
    """One target of one image, as rows, captions and raw maps tell of it.

    target: in the table's column of this name; name: for people; value: f(x), "" where there is no telling; quantity:
    what f(x) is; file: what tells its files from those of the image's other targets; outline: (h, w) bool over the
    network's input, which pictures draw around what is explained, or None; columns: more of its row;
    box: x0, y0, x1, y1 in pixels of the network's input, of a detection.
    """

    target: int | str
    name: str
    value: float | str
    quantity: str
    file: str = ""
    outline: Tensor | None = None
    columns: Row = field(default_factory=dict)
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Told:
    """What is known of an image that was explained.

    parts: its targets, one for each of its maps, in order; activation: what gives f(x); columns: of all its rows, what
    was predicted; reason: what has to be said of it; nothing: why there is nothing to explain in it, if so.
    """

    parts: tuple[Part, ...]
    activation: str
    columns: Row = field(default_factory=dict)
    reason: str = ""
    nothing: str = ""


class Asked(ABC):
    """What is explained of the images of one batch, known before its methods run, or from the first one's own pass."""

    @property
    @abstractmethod
    def targets(self) -> Any:
        """What the next explainer is called with: targets for K maps of each image (N, K, …)."""

    def rows(self, count: int) -> list[int]:
        """Which of the `count` images of the batch there is something to explain in; targets are of these."""
        return list(range(count))

    @abstractmethod
    def told(self) -> list[Told] | None:
        """Of each image, when the methods have run; None where none of them asked. An image may have fewer parts than
        it has maps, where others of its batch have more targets: the rest of its maps are left out."""


class Wanted(ABC):
    """What a run explains of each image."""

    @abstractmethod
    def of(self, images: Tensor, names: Sequence[str], given: Sequence[Any]) -> Asked:
        """What is explained of a batch.

        Args:
            images: (N, C, H, W), on the network's device; names: of their files; given: what was made for each of them
                when it was read (see `ImageTargets`), or None.
        """

    def explainers(self, explainers: Mapping[str, Explainer]) -> dict[str, Explainer]:
        """The methods as they are called for it."""
        return dict(explainers)

    @property
    def activation(self) -> str | None:
        """What gives f(x), for the manifest; None where nothing was explained."""
        return None
