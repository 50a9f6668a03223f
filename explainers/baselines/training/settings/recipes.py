"""How a network of the family is trained where nothing else is asked for: its own losses and plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import nn

from explainers.baselines.losses.loss import CrossEntropy, Loss
from explainers.baselines.training.settings.plans import AlternativeEpochs, Plan, Throughout


def cross_entropies(network: nn.Module) -> tuple[Loss, ...]:
    """One on the logits of every branch that a network has."""
    branches = ("logits", "attention_logits") if hasattr(network, "forward_branches") else ("logits",)
    return tuple(CrossEntropy(of) for of in branches)


@dataclass(frozen=True)
class Recipe:
    """losses: made for a network; plan: what learns when.

    explains: the part of the network that is trained before and stays as it is; a training of that part alone is where
    such a network starts. Empty where all of it learns.
    """

    losses: Callable[[nn.Module], tuple[Loss, ...]] = cross_entropies
    plan: Plan = field(default_factory=Throughout)
    explains: str = ""


def _lattice(network: nn.Module) -> tuple[Loss, ...]:
    return CrossEntropy(), CrossEntropy("attention_logits", weight=1 / 15)


RECIPES: dict[str, Recipe] = {
    "ala": Recipe(_lattice, AlternativeEpochs(rests=("side", "attention")), explains="encoder.network"),
}


def recipe(network: str) -> Recipe:
    """That of a registered network; without one of its own, cross entropies throughout."""
    return RECIPES.get(network, Recipe())
