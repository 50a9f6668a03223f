"""How a network of the family is trained where nothing else is asked for: its own losses and plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import nn

from explainers.baselines.losses.loss import CrossEntropy, Loss
from explainers.baselines.training.settings.plans import Plan, Throughout


def cross_entropies(network: nn.Module) -> tuple[Loss, ...]:
    """One on the logits of every branch that a network has."""
    branches = ("logits", "attention_logits") if hasattr(network, "forward_branches") else ("logits",)
    return tuple(CrossEntropy(of) for of in branches)


@dataclass(frozen=True)
class Recipe:
    """losses: made for a network; plan: what learns when."""

    losses: Callable[[nn.Module], tuple[Loss, ...]] = cross_entropies
    plan: Plan = field(default_factory=Throughout)


RECIPES: dict[str, Recipe] = {}


def recipe(network: str) -> Recipe:
    """That of a registered network; without one of its own, cross entropies throughout."""
    return RECIPES.get(network, Recipe())
