"""How networks are compared, beside what is compared."""

from __future__ import annotations

from dataclasses import dataclass

from explainers.errors import OptionError
from explainers.evaluation.drifting.groups import PER_CLASS
from explainers.network.output import Output

LABEL, REFERENCE, PREDICTED = "label", "reference", "predicted"
ALL, GROUPED = "all", "groups"


@dataclass(frozen=True)
class DriftOptions:
    """Settings of a comparison.

    target: the class that is explained in every network: "label" (the right one), "reference" (that which the reference
    predicts), "predicted" (that which each network predicts itself), an index, or None: "label" where there are labels,
    else "reference"; explained: "all" images, or "groups": those of the groups A, B and C alone, chosen among all
    images by the reference; per_class: of these groups, see `confidence_groups`; seed: of methods that draw, of random
    maps and of statistics; activation, output: from what a network returns to probabilities, as everywhere; batch_size:
    images explained at once; skip_unsupported: leave out methods that the reference does not allow.
    """

    target: str | int | None = None
    explained: str = ALL
    per_class: tuple[int, int, int] = PER_CLASS
    seed: int = 0
    activation: str | None = "auto"
    output: Output | None = None
    batch_size: int = 8
    skip_unsupported: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.target, str) and self.target not in (LABEL, REFERENCE, PREDICTED):
            raise OptionError(
                f'target={self.target!r}; expected "{LABEL}", "{REFERENCE}", "{PREDICTED}", a class index or None'
            )
        if self.explained not in (ALL, GROUPED):
            raise OptionError(f'explained={self.explained!r}; expected "{ALL}" or "{GROUPED}"')
        if self.batch_size < 1:
            raise OptionError(f"batch_size={self.batch_size}; expected at least 1")
