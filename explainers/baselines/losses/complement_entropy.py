"""Complement objective training: the classes that are wrong for an image shall be equally improbable."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from explainers.baselines.losses.attention_mining import PART, refuse_without_mining
from explainers.baselines.losses.loss import Beginning, Loss, Step
from explainers.baselines.losses.option_checks import not_negative, one_of
from explainers.baselines.losses.registry import register_loss
from explainers.baselines.losses.wrong_classes import wrong_classes
from explainers.errors import OptionError

VARIANTS = ("renormalised", "zeroed")
OF = ("auto", "logits", PART)
REST, LEAST = 1e-7, 1e-10  # epsilons of the authors' code: in the denominator, in the logarithm


def complement_entropy(
    logits: Tensor, labels: Tensor, variant: str = "renormalised", *, hold_true: bool = False
) -> Tensor:
    """1/(N·K) Σ_i Σ_{j≠g} p_ij log p_ij, to be minimised: it flattens the distribution over the wrong classes.

    With softmax ŷ, p_j = ŷ_j / (1 − ŷ_g) ("renormalised") or p_j = ŷ_j ("zeroed": ŷ_g is taken as 0, so the denominator
    is 1). The formula is printed with the opposite sign in places, as the entropy itself: minimising that sharpens. The
    authors' code has this sign.

    What becomes of the true class g:
    * renormalised: p is the softmax over the wrong logits alone, so no gradient reaches the true logit (but for the
      epsilon's), and the loss goes down to −log(K − 1) / K.
    * zeroed: the softmax's denominator ties the true logit in, with ∂/∂z_g = ŷ_g (E − (1 − ŷ_g)) / (N·K) of an image
      whose Σ_{j≠g} ŷ_j log ŷ_j is −E. From four classes on the minimum is ŷ_g → 0 with the others uniform: on what is
      left of an image when the evidence is taken away that is wanted, on whole images it works against the cross
      entropy. `hold_true` cuts this path.

    Args:
        logits: (N, K), at least two classes.
        labels: (N,), the true classes.
        variant: "renormalised" or "zeroed".
        hold_true: no gradient reaches the true class's logit.

    Returns:
        A scalar, not positive, with its graph.

    Raises:
        OptionError: another variant, labels that do not fit, one class only.

    Source: Chen et al. 2019 and code (the factor 1/K and the epsilons are the code's); "zeroed" Iwayoshi 2021.

    >>> float(complement_entropy(torch.zeros(1, 3), torch.tensor([0])))  # −log 2 / 3
    -0.231049...
    """
    if variant not in VARIANTS:
        raise OptionError(f"variant={variant!r}; expected {' or '.join(map(repr, VARIANTS))}")
    if logits.ndim != 2:
        raise OptionError(f"logits of shape {tuple(logits.shape)}; expected (N, classes)")
    wrong = wrong_classes(labels, *logits.shape)
    if hold_true:
        logits = torch.where(wrong, logits, logits.detach())
    probabilities = logits.softmax(1)
    if variant == "renormalised":
        true = probabilities.gather(1, labels[:, None])
        probabilities = probabilities / (1 - true + REST)
    terms = torch.where(wrong, probabilities * (probabilities + LEAST).log(), 0)
    return terms.sum() / terms.numel()


@register_loss("complement-objective")
@dataclass(frozen=True)
class ComplementObjective(Loss):
    """The complement entropy, minimised behind each update on the other losses, in an update of its own.

    That update has a forward pass and an optimiser of its own, called "complement-objective" in a plan, which is the
    settings' one once more unless `Settings(optimizers=…)` says otherwise.

    Args:
        weight: of the term.
        of: "logits" of the perception branch, "mining_logits" of the mining branch, or "auto": of the mining branch
            where the network has one.
        variant, hold_true: see `complement_entropy`.
        apart: in an update of its own; false: added to the other losses.

    Source: Chen et al. 2019; of the mining branch, Iwayoshi 2021 (AMB).
    """

    weight: float = 1.0
    of: str = "auto"
    variant: str = "renormalised"
    hold_true: bool = False
    apart: bool = True
    name = "complement-objective"

    def __post_init__(self) -> None:
        not_negative(weight=self.weight)
        one_of(OF, of=self.of)
        one_of(VARIANTS, variant=self.variant)

    def companion(self, beginning: Beginning) -> None:
        """Nothing is kept."""
        if self.of == PART:
            refuse_without_mining(beginning)

    def __call__(self, step: Step) -> Tensor:
        """With one more pass of the mining branch, where it is on its logits."""
        mines = getattr(step.made.branches, "mine", None) is not None
        logits = step.made.part(PART) if self.of == PART or (self.of == "auto" and mines) else step.made.logits
        return complement_entropy(logits.float(), step.labels, self.variant, hold_true=self.hold_true)
