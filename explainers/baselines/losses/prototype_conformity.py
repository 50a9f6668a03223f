"""Prototype conformity: features near the centre of their class and far from those of the others."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from explainers.baselines.losses.loss import Beginning, Companion, Loss, Step
from explainers.baselines.losses.option_checks import not_negative, one_of
from explainers.baselines.losses.registry import register_loss
from explainers.baselines.losses.wrong_classes import wrong_classes
from explainers.errors import OptionError, TrainingError

FORMS = ("norm", "squared")
OF = {"perception_pooled": "prototype-conformity", "attention_pooled": "attention-prototype-conformity"}
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


class Centres(nn.Module):
    """A centre for each class, N(0, 1): those that attract, and those that repel where these are others.

    Args:
        classes: K; width: D; separate: a second table for the repulsion.
    """

    def __init__(self, classes: int, width: int, *, separate: bool) -> None:
        super().__init__()
        self.attracting = nn.Parameter(torch.randn(classes, width))
        self.repelling = nn.Parameter(torch.randn(classes, width)) if separate else self.attracting


@register_loss("prototype-conformity")
@dataclass(frozen=True)
class PrototypeConformity(Loss):
    """Attraction to the own class's centre less a share of the repulsion from the others', with centres that learn.

    Centres take steps of plain SGD behind each update. The weights act on the network alone: centres get the gradient
    of either part as if its weight was 1, as in the code of the loss's authors.

    Args:
        weight: of the term, and so of the attraction.
        repulsion: weight of the repulsion beside the attraction's 1, at most 1, so that features cannot run away.
        of: the features, "perception_pooled" (before the perception branch's last layer) or "attention_pooled" (of the
            attention branch); a loss for each has centres of its own.
        form: "norm", the paper's, or "squared", of the code.
        margin: see `prototype_conformity`; None is unbounded once centres learn.
        separate: centres that attract and centres that repel, as the code has them; false: one table, as the paper's.
        lr: of the centres that attract, or of the only ones; repulsion_lr: of those that repel.

    Source: Iwayoshi 2021 (AMB); Mustafa et al. 2019 and code (tables, weights and rates).
    """

    weight: float = 1.0
    repulsion: float = 1e-4
    of: str = "perception_pooled"
    form: str = "norm"
    margin: float | None = None
    separate: bool = True
    lr: float = 0.5
    repulsion_lr: float = 1e-4

    def __post_init__(self) -> None:
        not_negative(weight=self.weight, repulsion=self.repulsion, lr=self.lr, repulsion_lr=self.repulsion_lr)
        one_of(tuple(OF), of=self.of)
        one_of(FORMS, form=self.form)
        if self.repulsion > 1:
            raise OptionError(f"repulsion={self.repulsion}; expected 0 … 1, or features would leave all centres")
        if self.margin is not None and not self.margin > 0:
            raise OptionError(f"margin={self.margin}; expected a positive distance, or None for none")

    @property
    def name(self) -> str:  # type: ignore[override]
        """ "prototype-conformity" or "attention-prototype-conformity"."""
        return OF[self.of]

    def companion(self, beginning: Beginning) -> Companion:
        """The centres and their optimiser."""
        centres = Centres(beginning.classes, beginning.made.part(self.of).shape[1], separate=self.separate)
        groups = [{"params": [centres.attracting], "lr": self.lr}]
        if self.separate:
            groups.append({"params": [centres.repelling], "lr": self.repulsion_lr})
        return Companion(centres, torch.optim.SGD(groups, lr=self.lr))

    def __call__(self, step: Step) -> Tensor:
        """Attraction − repulsion's weight · repulsion; what it is worth to the centres is told above."""
        centres = step.companions[self.name]
        if not isinstance(centres, Centres):
            raise TrainingError(f"{self.name}: what is kept for it is {type(centres).__name__}; expected Centres")
        features = step.made.part(self.of).float()
        attracting = _as_if_by(centres.attracting, self.weight)
        repelling = _as_if_by(centres.repelling, self.weight * self.repulsion)
        parts = [
            prototype_conformity(features, step.labels, table, form=self.form, margin=self.margin)
            for table in (attracting, repelling)
        ]
        attraction, repulsion = parts[0][0], parts[1][1]
        return attraction - self.repulsion * repulsion


def _as_if_by(centres: Tensor, weight: float) -> Tensor:
    """The same values, to which a loss of this weight sends the gradient of one of weight 1; of weight 0, none."""
    still = centres.detach()
    return still + (centres - still) / weight if weight > 0 else still
