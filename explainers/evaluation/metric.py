"""The contract of every metric: maps of some images in, a value for each out; and the registry of metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor

from explainers.core.name_table import Names, keywords, refuse_unknown, takes_any
from explainers.core.option_types import refusing_unfit_options
from explainers.evaluation.measuring.batch import Batch
from explainers.evaluation.measuring.given_maps import measured
from explainers.evaluation.measuring.subject import Measuring, Subject


class Metric(ABC):
    """One measure of heat maps.

    Class attributes:
        name: registry key and command-line name; better: "higher" or "lower"; reference: the paper; needs: subset of
        {"masks", "explainer", "network", "classes"}: ground truth, calling the explainer again, access to the network's
        layers, predicted classes; share: whether a value is yes or no, 1 or 0, so that the mean is a share also where
        all are equal, or what `combined` gives is one; within: the range of a value, None where it has none;
        within_probability: the same where f(x) is a probability; boxes: whether it asks no more of a mask than its box,
        so that filled boxes serve; axes: how many axes of positions its maps may have: one (signals), two (images),
        three (volumes); ratios: whether it divides by f(x), which then has to be a probability; across, heights: what
        its curves are over and what they show, where it has some.
    """

    name: ClassVar[str]
    better: ClassVar[str]
    reference: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset()
    share: ClassVar[bool] = False
    within: ClassVar[tuple[float, float] | None] = None
    within_probability: ClassVar[tuple[float, float] | None] = None
    boxes: ClassVar[bool] = False
    axes: ClassVar[tuple[int, ...]] = (1, 2, 3)
    ratios: ClassVar[bool] = False
    across: ClassVar[str] = "share changed"
    heights: ClassVar[str] = "f(x)"

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if "__init__" in vars(cls):
            setattr(cls, "__init__", refusing_unfit_options(cls.__init__))  # noqa: B010

    @abstractmethod
    def measure(self, subject: Subject) -> Measuring:
        """A generator that asks for passes by yielding jobs, gets what the network says of them, and returns a
        Measured for each image and setting."""

    def settings(self) -> dict[str, Any]:
        """Everything that changes the value, for tables."""
        return {}

    def caution(self) -> str:
        """What has to be known to read the value, for the foot of tables."""
        return ""

    def caution_of(self, rows: Sequence[dict[str, Any]]) -> str:
        """The same, going by the rows of the table that have a value of this metric."""
        return self.caution()

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
        activation: str | None = "auto",
        seed: int = 0,
    ) -> Tensor:
        """The value of each map.

        Args:
            model: network, LoadedModel, or any callable; images: (N, C, *axes); maps: (N, *axes); targets: as for
                explainers; masks: (N, *axes) bool.

        Returns:
            (N,) float64; (N, S) for metrics with several settings, such as patch sizes.
        """
        batch = Batch(tuple(map(str, range(len(images)))), images, targets, masks=masks)
        rows = measured(self, model, batch, maps, activation=activation, seed=seed)
        values = torch.tensor([[each.value for each in row] for row in rows], dtype=torch.float64, device="cpu")
        return values[:, 0] if values.shape[1] == 1 else values

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in self.settings().items())})"


METRICS: Names[type[Metric]] = Names("metric")
Kind = TypeVar("Kind", bound=type[Metric])


def register_metric(cls: Kind) -> Kind:
    """Class decorator: makes a metric known under its `name`. A name taken twice is an error."""
    METRICS.add(cls.name, cls)
    return cls


def register_metric_family(
    prefix: str, resolve: Callable[[str], type[Metric]], members: Callable[[], Iterable[str]] = tuple
) -> None:
    """Make `prefix:NAME` known: `resolve(NAME)` gives a Metric class, `members()` all NAMEs."""
    METRICS.add_family(prefix, resolve, members)


def available_metrics() -> tuple[str, ...]:
    """The names of all metrics, sorted; `quantus:NAME` comes on top for every metric of Quantus."""
    return tuple(METRICS)


def metric_class(name: str) -> type[Metric]:
    """The class registered under `name`.

    Raises:
        OptionError: nobody is, with the names that come close.
    """
    return METRICS.find(name)


def metric_options(cls: type[Metric]) -> dict[str, Any]:
    """The keyword options of a metric with their defaults."""
    return keywords(cls)


def create_metric(name: str, **options: Any) -> Metric:
    """A metric by name: `create_metric("pid", patch=(16, 32), baseline="zero")`.

    Raises:
        OptionError: unknown name, or an option that this metric does not have, or a value outside its range.
    """
    cls = metric_class(name)
    if not takes_any(cls):
        refuse_unknown(name, options, metric_options(cls))
    return cls(**options)
