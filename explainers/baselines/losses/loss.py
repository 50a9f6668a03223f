"""Losses as objects: each has a name, a weight, and is called with what one training step knows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explainers.errors import OptionError, TrainingError
from explainers.network.output import scores_of

HEADS = {"logits": "perception", "attention_logits": "attention"}  # what scores are called in losses and logs


@dataclass(frozen=True)
class Pass:
    """Scores of one forward pass, and the map where the network makes one.

    logits: (N, classes); attention_logits: (N, classes) or None; attention_map: (N, 1, h, w) in 0 … 1 or None.
    """

    logits: Tensor
    attention_logits: Tensor | None = None
    attention_map: Tensor | None = None

    def scores(self, of: str) -> Tensor:
        """One of the two sets of logits.

        Raises:
            TrainingError: the network has no attention branch.
        """
        found: Tensor | None = getattr(self, of)
        if found is None:
            raise TrainingError("this network has no attention branch, so there is no loss on its logits; leave it out")
        return found


def forward(network: nn.Module, images: Tensor) -> Pass:
    """One forward pass of any classifier; nothing is stored in it but what batch norm counts."""
    branching: Any = network
    if hasattr(network, "forward_branches"):
        branches = branching.forward_branches(images)
        return Pass(branches.logits, branches.attention_logits, branches.attention_map)
    returned = network(images)
    if isinstance(returned, Tensor) and returned.ndim == 2:
        return Pass(returned)  # without a look at its values, which the trainer judges by the loss
    return Pass(scores_of(returned, len(images)))


@dataclass(frozen=True)
class Step:
    """What losses may look at.

    network: in training mode; images: (N, C, H, W) normalised; labels: (N,); made: the forward pass of these images;
    rng: for everything drawn, on the CPU; class_weights: (classes,) or None; fillers: (C, H, W) images or (C, 1, 1)
    colours by name, normalised, that can stand for removed pixels.
    """

    network: nn.Module
    images: Tensor
    labels: Tensor
    made: Pass
    rng: torch.Generator
    class_weights: Tensor | None = None
    fillers: Mapping[str, Tensor] = field(default_factory=dict)


class Loss(ABC):
    """A term of the training loss, already a mean over the batch. Derive from it for a loss of your own.

    name: in logs; weight: with which it is added; validated: whether it is part of the validation loss, which must not
    depend on anything drawn, and for which a step has no images.

    >>> class Entropy(Loss):
    ...     name, weight = "entropy", 0.1
    ...     def __call__(self, step):
    ...         a = step.made.attention_map.clamp(1e-6, 1 - 1e-6)
    ...         return -(a * a.log() + (1 - a) * (1 - a).log()).mean()
    """

    name: str = "loss"
    weight: float = 1.0
    validated: bool = False

    @abstractmethod
    def __call__(self, step: Step) -> Tensor:
        """The unweighted value, a scalar with its graph."""

    def settings(self) -> dict[str, Any]:
        """Plain values that tell this loss from others."""
        return {"kind": type(self).__name__, "name": self.name, "weight": self.weight, **vars(self)}


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """Softmax cross entropy of one branch.

    Args:
        of: "logits" (perception) or "attention_logits"; weight: of the term; label_smoothing: 0 … 1.
    """

    of: str = "logits"
    weight: float = 1.0
    label_smoothing: float = 0.0
    validated = True

    def __post_init__(self) -> None:
        if self.of not in HEADS:
            raise OptionError(f"of={self.of!r}; expected {' or '.join(map(repr, HEADS))}")
        if not 0 <= self.label_smoothing <= 1 or self.weight < 0:
            raise OptionError(
                f"label_smoothing={self.label_smoothing}, weight={self.weight}; expected 0 … 1, and no negative weight"
            )

    @property
    def name(self) -> str:  # type: ignore[override]
        """ "perception" or "attention"."""
        return HEADS[self.of]

    def __call__(self, step: Step) -> Tensor:
        """With the step's class weights, a weighted mean."""
        scores = step.made.scores(self.of).float()
        return F.cross_entropy(scores, step.labels, step.class_weights, label_smoothing=self.label_smoothing)


def divergence(full: Tensor, masked: Tensor) -> Tensor:
    """KL(softmax full ‖ softmax masked), mean over the batch.

    Args:
        full, masked: (N, classes) logits.

    Returns:
        A scalar, not negative: Σ p (log p − log q) with p of the first argument.
    """
    return F.kl_div(masked.log_softmax(1), full.log_softmax(1), reduction="batchmean", log_target=True)
