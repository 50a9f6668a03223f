"""How a network of the family is trained where nothing else is asked for: its own losses and plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import nn

from explainers.baselines.losses.attention_mining import AttentionMining
from explainers.baselines.losses.complement_entropy import ComplementObjective
from explainers.baselines.losses.guided_attention import GuidedAttention
from explainers.baselines.losses.loss import CrossEntropy, Loss
from explainers.baselines.losses.prototype_conformity import PrototypeConformity
from explainers.baselines.losses.segmentation.colour_affinity import ColourAffinity
from explainers.baselines.losses.segmentation.seeded_cross_entropy import SeededCrossEntropy
from explainers.baselines.losses.segmentation.size_barrier import SizeBarrier
from explainers.baselines.training.settings.plans import (
    Alternating,
    AlternativeEpochs,
    Plan,
    Stage,
    Throughout,
    Together,
)


def cross_entropies(network: nn.Module) -> tuple[Loss, ...]:
    """One on the logits of every branch that a network has."""
    branches = ("logits", "attention_logits") if hasattr(network, "forward_branches") else ("logits",)
    return tuple(CrossEntropy(of) for of in branches)


@dataclass(frozen=True)
class Recipe:
    """losses: made for a network; plan: what learns when.

    explains: the part of the network that is trained before and stays as it is; a training of that part alone is where
    such a network starts. Empty where all of it learns.

    edited: the loss that learns maps which a person has edited, or None: human knowledge, where there is an attention
    branch; resting: the parts that do not learn then, beside those that never do.
    """

    losses: Callable[[nn.Module], tuple[Loss, ...]] = cross_entropies
    plan: Plan = field(default_factory=Throughout)
    explains: str = ""
    edited: Loss | None = None
    resting: tuple[str, ...] = ("features",)


def _lattice(network: nn.Module) -> tuple[Loss, ...]:
    return CrossEntropy(), CrossEntropy("attention_logits", weight=1 / 15)


def _decoding(network: nn.Module) -> tuple[Loss, ...]:
    return SeededCrossEntropy(), ColourAffinity(), SizeBarrier()


def amb_losses(*, prototypes: bool = True, complement: bool = True) -> tuple[Loss, ...]:
    """What an attention mining network minimises: both branches' cross entropies, and what is asked for.

    Args:
        prototypes: prototype conformity of the features that the last layer of either branch reads.
        complement: the complement objective of the mining branch, in an update of its own behind each on the others;
            it takes the place of attention mining.

    Source: Iwayoshi 2021 (AMB, + PC, + COT, + PC + COT).
    """
    losses: list[Loss] = [CrossEntropy(), CrossEntropy("attention_logits")]
    if prototypes:
        losses += [PrototypeConformity(), PrototypeConformity(of="attention_pooled")]
    losses.append(ComplementObjective(of="mining_logits") if complement else AttentionMining())
    return tuple(losses)


RECIPES: dict[str, Recipe] = {
    "amb": Recipe(lambda network: amb_losses()),
    "gain": Recipe(
        lambda network: (CrossEntropy(), GuidedAttention()), edited=GuidedAttention(given="edited"), resting=()
    ),
    "f-cam": Recipe(_decoding, explains="encoder", resting=()),
    "ala": Recipe(_lattice, AlternativeEpochs(rests=("side", "attention")), explains="encoder.network", resting=()),
}


def recipe(network: str) -> Recipe:
    """That of a registered network; without one of its own, cross entropies throughout."""
    return RECIPES.get(network, Recipe())


def merged(losses: Sequence[Loss], more: Sequence[Loss]) -> tuple[Loss, ...]:
    """Both, a loss of the second in place of one of the first of the same name."""
    return tuple({loss.name: loss for loss in (*losses, *more)}.values())


def alternation(losses: Sequence[Loss]) -> Plan:
    """Steps in turn: of one batch all losses but those that stand apart, of the next these, by their own optimisers.

    This is the printed "alternate every iteration" read as one update of each batch; without it, `plan_for` makes both
    of every batch, as the code of complement objective training does.
    """
    both = plan_for(Throughout(), losses)
    return Alternating(both.stages(), every="step")


def plan_for(plan: Plan, losses: Sequence[Loss]) -> Plan:
    """Throughout, losses that stand apart get updates of their own behind that of the others; other plans are kept."""
    apart = [loss.name for loss in losses if loss.apart]
    if not apart or not isinstance(plan, Throughout) or plan.losses is not None:
        return plan
    rest = tuple(loss.name for loss in losses if not loss.apart)
    own = (Stage((name,), plan.frozen, optimizer=name) for name in apart)
    return Together((Stage(rest, plan.frozen), *own))
