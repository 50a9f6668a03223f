"""The contract of every metric: maps of some images in, a value for each out; and the registry of metrics."""

from __future__ import annotations

import difflib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor

from explainers.errors import OptionError
from explainers.evaluation.chunk import Chunk
from explainers.evaluation.passes import Job, Passes, Seen
from explainers.evaluation.walks import Curve, Walks

Explain = Callable[[Tensor, Tensor], Tensor]  # (images, targets (N,)) → maps (N, H, W)
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

    maps: (N, H, W) float32, finite; explain: the explainer, or None where the maps came from files; network: what is
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
        """(N, H, W) bool; the engine has seen to it that metrics that need them get some."""
        assert self.chunk.masks is not None
        return self.chunk.masks


class Metric(ABC):
    """One measure of heat maps.

    Class attributes:
        name: registry key and command-line name; better: "higher" or "lower"; reference: the paper; needs: subset of
        {"masks", "explainer", "network"}: ground truth, calling the explainer again, access to the network's layers.
    """

    name: ClassVar[str]
    better: ClassVar[str]
    reference: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def measure(self, subject: Subject) -> Measuring:
        """A generator that asks for passes by yielding jobs, gets what the network says of them, and returns a
        Measured for each image and setting."""

    def settings(self) -> dict[str, Any]:
        """Everything that changes the value, for tables."""
        return {}

    def combined(self, parts: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Values over data sets from sums of `parts` (R, …) over `counts` (R,) images; by default there are no parts
        and a data set's value is the mean of its images'."""
        raise NotImplementedError

    def coarser(self, parts: np.ndarray) -> np.ndarray:
        """An image's parts as tests take them, which combine them some ten thousand times."""
        return parts

    def __call__(
        self,
        model: Any,
        images: Tensor,
        maps: Tensor,
        targets: Any = None,
        *,
        masks: Tensor | None = None,
        activation: str | None = "softmax",
        seed: int = 0,
    ) -> Tensor:
        """The value of each map.

        Args:
            model: network, LoadedModel, or any callable; images: (N, C, H, W); maps: (N, H, W); targets: as for
                explainers; masks: (N, H, W) bool.

        Returns:
            (N,) float64; (N, S) for metrics with several settings, such as patch sizes.
        """
        from explainers.evaluation.engine import measured

        rows = measured(self, model, images, maps, targets, masks=masks, activation=activation, seed=seed)
        values = torch.tensor([[each.value for each in row] for row in rows], dtype=torch.float64)
        return values[:, 0] if values.shape[1] == 1 else values

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in self.settings().items())})"


_metrics: dict[str, type[Metric]] = {}
_families: dict[str, Callable[[str], type[Metric]]] = {}
Kind = TypeVar("Kind", bound=type[Metric])


def register_metric(cls: Kind) -> Kind:
    """Class decorator: makes a metric known under its `name`. A name taken twice is an error."""
    if cls.name in _metrics:
        raise ValueError(f"two metrics are called {cls.name!r}: {_metrics[cls.name]} and {cls}")
    _metrics[cls.name] = cls
    return cls


def register_metric_family(prefix: str, resolve: Callable[[str], type[Metric]]) -> None:
    """Make `prefix:NAME` known: `resolve(NAME)` gives a Metric class."""
    if prefix in _families:
        raise ValueError(f"two families of metrics are called {prefix!r}")
    _families[prefix] = resolve


def available_metrics() -> tuple[str, ...]:
    """The names of all metrics, sorted; `quantus:NAME` comes on top for every metric of Quantus."""
    return tuple(sorted(_metrics))


def metric_class(name: str) -> type[Metric]:
    """The class registered under `name`.

    Raises:
        OptionError: nobody is, with the names that come close.
    """
    family, colon, member = name.partition(":")
    if colon and family in _families:
        return _families[family](member)
    if name not in _metrics:
        close = difflib.get_close_matches(name.lower().replace("_", "-"), _metrics, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}? " if close else ""
        raise OptionError(f"no metric {name!r}; {hint}available: {', '.join(available_metrics())}, quantus:NAME")
    return _metrics[name]


def metric_options(cls: type[Metric]) -> dict[str, Any]:
    """The keyword options of a metric with their defaults."""
    parameters = inspect.signature(cls).parameters.values()
    return {each.name: each.default for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY}


def create_metric(name: str, **options: Any) -> Metric:
    """A metric by name: `create_metric("pid", patch=(16, 32), baseline="zero")`.

    Raises:
        OptionError: unknown name, or an option that this metric does not have, or a value outside its range.
    """
    cls = metric_class(name)
    known = metric_options(cls)
    free = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in inspect.signature(cls).parameters.values())
    unknown = sorted(set(options) - set(known))
    if unknown and not free:
        raise OptionError(
            f"{name} has no option {', '.join(unknown)}; "
            + (f"its options are {', '.join(known)}" if known else "it has none")
        )
    return cls(**options)
