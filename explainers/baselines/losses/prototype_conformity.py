"""Prototype conformity: features near the centre of their class and far from those of the others."""

from __future__ import annotations

import torch
from torch import Tensor

from explainers.baselines.losses.wrong_classes import wrong_classes
from explainers.errors import OptionError

FORMS = ("norm", "squared")
SMALLEST, LARGEST = 1e-12, 1e12  # to which the authors' code clamps squared distances


def prototype_conformity(
    features: Tensor, labels: Tensor, centres: Tensor, *, form: str = "norm", margin: float | None = None
) -> tuple[Tensor, Tensor]:
    """How far features are from their own centre, to be minimised, and from the wrong ones, to be maximised.

    With α_i = ‖f_i − w_g‖, β_ij = ‖f_i − w_j‖ and γ_gj = ‖w_g − w_j‖, means over the batch of α_i and of
    1/(K − 1) Σ_{j≠g} (β_ij + γ_gj) ("norm", the paper's), or of α_i² and of β_ij² over all pairs, without γ ("squared",
    the code of the loss's authors, which keeps a table of centres for either part: call it once with each).

    Bounds of attraction − λ · repulsion. Features alone cannot make it −∞: as β ≤ α + γ it is at least −2λ γ̄ for λ ≤ 1
    ("norm"), and −λ/(1 − λ) times the mean γ² for λ < 1 ("squared"). Centres that learn can, by leaving one another.
    With a margin it is at least −λ · margin whatever learns.

    Args:
        features: (N, D), pooled.
        labels: (N,), the true classes.
        centres: (K, D), at least two classes.
        form: "norm" or "squared".
        margin: each wrong class's β + γ, or β², counts up to here, and moves nothing beyond; None: without end.

    Returns:
        (attraction, repulsion), scalars that are not negative, with their graphs. Where two points coincide, a
        distance has the gradient 0.

    Raises:
        OptionError: another form, sizes that do not fit, a margin that is not positive.

    Source: Iwayoshi 2021 ("norm", there a sum over the batch); Mustafa et al. 2019 and code ("squared").
    """
    if form not in FORMS:
        raise OptionError(f"form={form!r}; expected {' or '.join(map(repr, FORMS))}")
    if margin is not None and not margin > 0:
        raise OptionError(f"margin={margin}; expected a positive distance, or None for none")
    if features.ndim != 2 or centres.ndim != 2 or features.shape[1] != centres.shape[1]:
        raise OptionError(
            f"features of shape {tuple(features.shape)} and centres of shape {tuple(centres.shape)}; expected (N, D) "
            "and (classes, D)"
        )
    wrong = wrong_classes(labels, len(features), len(centres))
    distances = _distances(features, centres)
    if form == "squared":
        distances = distances.square().clamp(SMALLEST, LARGEST)
        away = distances
    else:
        away = distances + _distances(centres[labels], centres)
    own = distances.gather(1, labels[:, None])
    if margin is not None:
        away = away.clamp(max=margin)
    return own.mean(), away[wrong].mean()


def _distances(points: Tensor, centres: Tensor) -> Tensor:
    """(N, K) Euclidean distances, from differences: by a product of matrices small ones would be noise."""
    return torch.cdist(points, centres, compute_mode="donot_use_mm_for_euclid_dist")
