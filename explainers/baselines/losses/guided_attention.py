"""Guided attention (GAIN): the map shall cover all that tells the class, and lie on the mask where there is one."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from explainers.baselines.losses.attention_mining import PART, mined_probability, refuse_without_mining
from explainers.baselines.losses.brought_maps import brought_and_own
from explainers.baselines.losses.loss import Beginning, Loss, Step
from explainers.baselines.losses.option_checks import not_negative, one_of
from explainers.baselines.losses.registry import register_loss

SCORES = ("probability", "logit")


@register_loss("guided-attention")
@dataclass(frozen=True)
class GuidedAttention(Loss):
    """Score of the true class on the image without what is attended to, and the error of the map against masks.

    Args:
        weight: of both (α).
        supervision: of the mean squared error between mask and map, beside the score; it counts with `given` alone.
        given: "mask" where some images have one, which is averaged over the map's cells; "" without.
        score: the true class's "probability" (softmax), or its "logit", which has no lower bound.

    The mined class is the true one; the predicted one, as one re-implementation has it, would mine what is wrong.

    Source: Li et al. 2018, eq. 5 – 7 (weights 1, 1, 10).
    """

    weight: float = 1.0
    supervision: float = 10.0
    given: str = ""
    score: str = "probability"
    name = "guided-attention"

    def __post_init__(self) -> None:
        not_negative(weight=self.weight, supervision=self.supervision)
        one_of(SCORES, score=self.score)
        one_of(("", "mask", "edited"), given=self.given)

    def companion(self, beginning: Beginning) -> None:
        """Nothing is kept."""
        refuse_without_mining(beginning)

    def __call__(self, step: Step) -> Tensor:
        """One more forward pass, on the masked images."""
        logits = step.made.part(PART).float()
        if self.score == "probability":
            value = mined_probability(logits, step.labels)
        else:
            value = logits.gather(1, step.labels[:, None]).mean()
        if not self.given:
            return value
        masks, own = brought_and_own(step, self.given)
        return value + self.supervision * (masks - own).square().sum() / max(1, own.numel())
