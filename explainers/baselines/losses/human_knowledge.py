"""Human knowledge: the attention map shall become the one that a person has drawn."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explainers.baselines.losses.brought_maps import brought_and_own
from explainers.baselines.losses.loss import Beginning, Companion, Loss, Step
from explainers.baselines.losses.option_checks import not_negative, one_of
from explainers.baselines.losses.registry import register_loss
from explainers.errors import OptionError, TrainingError

KINDS = ("edited", "mask")


def map_distance(own: Tensor, edited: Tensor) -> Tensor:
    """‖A_edit − A‖₂ of each map, the mean over the maps; 0 of none.

    Args:
        own, edited: (M, 1, h, w).

    Returns:
        A scalar with its graph; the distance of equal maps has the gradient 0.
    """
    return torch.linalg.vector_norm((edited - own).flatten(1), dim=1).sum() / max(1, len(own))


class Begun(nn.Module):
    """Sums over the first batches, from which γ is set. steps: how many have been counted."""

    distance: Tensor
    cross_entropy: Tensor
    steps: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("distance", "cross_entropy", "steps"):
            self.register_buffer(name, torch.zeros(()))


@register_loss("human-knowledge")
@dataclass(frozen=True)
class HumanKnowledge(Loss):
    """γ ‖A_edit − A‖₂, the mean over the images of a batch that have an edited map.

    γ is set from the first batches, so that the term is a stated share of the perception branch's cross entropy at the
    start: share · Σ cross entropies / Σ distances, over as many batches as counted so far, and fixed from then on.

    Args:
        weight: of the term, beside γ.
        share: of the cross entropy at the start; 0.1 … 1.
        batches: from which γ is set; only those count in which some image has an edited map that is not the network's.
        gamma: γ itself, in place of share and batches.
        given: whose maps, "edited" or "mask" (the data set's); they are averaged over the map's cells.

    Source: Mitsuhara et al. 2019.
    """

    weight: float = 1.0
    share: float = 0.5
    batches: int = 8
    gamma: float | None = None
    given: str = "edited"
    name = "human-knowledge"

    def __post_init__(self) -> None:
        not_negative(weight=self.weight, gamma=self.gamma or 0.0)
        one_of(KINDS, given=self.given)
        if not 0.1 <= self.share <= 1 or self.batches < 1:
            raise OptionError(
                f"share={self.share}, batches={self.batches}; expected 0.1 … 1 times the cross entropy, set from at "
                "least one batch"
            )

    def companion(self, beginning: Beginning) -> Companion:
        """What γ is set from."""
        if beginning.made.attention_map is None:
            raise TrainingError("this network makes no attention map, so there is none to edit; leave this loss out")
        return Companion(Begun())

    def __call__(self, step: Step) -> Tensor:
        """With the step's class weights in the cross entropy."""
        edited, own = brought_and_own(step, self.given)
        distance = map_distance(own, edited)
        return self._gamma(step, float(distance.detach())) * distance

    def _gamma(self, step: Step, distance: float) -> float:
        if self.gamma is not None:
            return self.gamma
        begun = step.companions[self.name]
        if not isinstance(begun, Begun):
            raise TrainingError(f"{self.name}: what is kept for it is {type(begun).__name__}; expected Begun")
        if begun.steps < self.batches and distance > 0:
            logits = step.made.logits.detach().float()
            begun.cross_entropy += F.cross_entropy(logits, step.labels, step.class_weights)
            begun.distance += distance
            begun.steps += 1
        return self.share * float(begun.cross_entropy / begun.distance) if begun.steps else 0.0
