"""Complement objective training: the classes that are wrong for an image shall be equally improbable."""

from __future__ import annotations

import torch
from torch import Tensor

from explainers.baselines.losses.wrong_classes import wrong_classes
from explainers.errors import OptionError

VARIANTS = ("renormalised", "zeroed")
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
