"""Attention mining: what the attention map leaves over shall not tell the class."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from explainers.baselines.losses.loss import Beginning, Loss, Step
from explainers.baselines.losses.option_checks import not_negative
from explainers.baselines.losses.registry import register_loss
from explainers.errors import TrainingError

PART = "mining_logits"


def mined_probability(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean softmax probability of the true class: (N, K) and (N,) to a scalar in 0 … 1."""
    return logits.softmax(1).gather(1, labels[:, None]).mean()


def refuse_without_mining(beginning: Beginning) -> None:
    """Looks whether the network mines, without running its mining branch.

    Raises:
        TrainingError: it does not.
    """
    if getattr(beginning.made.branches, "mine", None) is None:
        raise TrainingError("this network makes no mining logits, so there is no loss on them; leave it out")


@register_loss("attention-mining")
@dataclass(frozen=True)
class AttentionMining(Loss):
    """Probability of the true class from what the attention map leaves over, as the mining branch sees it.

    Args:
        weight: of the mean over the batch. The source weighs the sum over a batch of 16 by 1e-4, which is this.

    Source: Iwayoshi 2021 (AMB).
    """

    weight: float = 16e-4
    name = "attention-mining"

    def __post_init__(self) -> None:
        not_negative(weight=self.weight)

    def companion(self, beginning: Beginning) -> None:
        """Nothing is kept."""
        refuse_without_mining(beginning)

    def __call__(self, step: Step) -> Tensor:
        """One more pass of the mining branch, where none has been run."""
        return mined_probability(step.made.part(PART).float(), step.labels)
