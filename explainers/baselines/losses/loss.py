"""Losses as objects: each has a name, a weight, and is called with what one training step knows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explainers.core.preprocessing import Preprocessing
from explainers.errors import OptionError, TrainingError
from explainers.network.output import scores_of

HEADS = {"logits": "perception", "attention_logits": "attention"}  # what scores are called in losses and logs


@dataclass(frozen=True)
class Pass:
    """Scores of one forward pass, and the map where the network makes one.

    logits: (N, classes); attention_logits: (N, classes) or None; attention_map: (N, 1, h, w) in 0 … 1 or None;
    branches: all that the network's `forward_branches` gave, or None.
    """

    logits: Tensor
    attention_logits: Tensor | None = None
    attention_map: Tensor | None = None
    branches: Any = field(default=None, repr=False)

    def scores(self, of: str) -> Tensor:
        """One of the two sets of logits.

        Raises:
            TrainingError: the network has no attention branch.
        """
        found: Tensor | None = getattr(self, of)
        if found is None:
            raise TrainingError("this network has no attention branch, so there is no loss on its logits; leave it out")
        return found

    def part(self, name: str) -> Tensor:
        """Something else that `forward_branches` gave, such as "mining_logits" or "perception_pooled".

        Raises:
            TrainingError: this network does not make it.
        """
        found: Tensor | None = getattr(self.branches, name, None)
        if found is None:
            raise TrainingError(
                f"this network makes no {name.replace('_', ' ')}, so there is no loss on it; leave it out"
            )
        return found


def forward(
    network: nn.Module,
    images: Tensor,
    attention_map: Tensor | float | None = None,
    classes: Tensor | None = None,
) -> Pass:
    """One forward pass of any classifier; nothing is stored in it but what batch norm counts.

    Args:
        attention_map: used in place of the network's own, as its `forward_branches` takes it.
        classes: (N,), whose maps a network makes that has one for each class and says so by `maps_of_classes`; others
            do not see them.

    Raises:
        TrainingError: a map for a network that makes none.
    """
    branching: Any = network
    if hasattr(network, "forward_branches"):
        given: dict[str, Any] = {} if attention_map is None else {"attention_map": attention_map}
        if classes is not None and getattr(network, "maps_of_classes", False):
            given["classes"] = classes
        branches = branching.forward_branches(images, **given)
        return Pass(branches.logits, branches.attention_logits, branches.attention_map, branches)
    if attention_map is not None:
        raise TrainingError(f"{type(network).__name__} makes no attention map, so none can take its place")
    returned = network(images)
    if isinstance(returned, Tensor) and returned.ndim == 2:
        return Pass(returned)  # without a look at its values, which the trainer judges by the loss
    return Pass(scores_of(returned, len(images)))


@dataclass(frozen=True)
class Given:
    """Maps that people or data sets bring for some images of a batch.

    maps: (N, 1, H, W) float32 in 0 … 1 over the network's input; known: (N,) bool, which images have one.
    """

    maps: Tensor
    known: Tensor


@dataclass(frozen=True)
class Step:
    """What losses may look at.

    network: in training mode; images: (N, C, H, W) normalised; labels: (N,); made: the forward pass of these images;
    rng: for everything drawn, on the CPU; class_weights: (classes,) or None; fillers: (C, H, W) images or (C, 1, 1)
    colours by name, normalised, that can stand for removed pixels; epoch: counted from 0; companions: by a loss's name,
    what it keeps from step to step; given: maps from outside by their kind, "mask" or "edited"; preprocessing: from
    photo to network input, for losses that look at raw colours.
    """

    network: nn.Module
    images: Tensor
    labels: Tensor
    made: Pass
    rng: torch.Generator
    class_weights: Tensor | None = None
    fillers: Mapping[str, Tensor] = field(default_factory=dict)
    epoch: int = 0
    companions: Mapping[str, nn.Module] = field(default_factory=dict)
    given: Mapping[str, Given] = field(default_factory=dict)
    preprocessing: Preprocessing | None = None


@dataclass(frozen=True)
class Companion:
    """What a loss keeps from step to step, saved and restored with the training.

    module: its parameters and buffers; optimizer: takes a step behind every update in which the loss counts, or None
    where nothing in it is learnt.
    """

    module: nn.Module
    optimizer: torch.optim.Optimizer | None = None


@dataclass(frozen=True)
class Beginning:
    """What a loss may look at before the first step.

    network: in evaluation mode; made: its pass over two training images, without a graph; classes: how many.
    """

    network: nn.Module
    made: Pass
    classes: int


class Loss(ABC):
    """A term of the training loss, already a mean over the batch. Derive from it for a loss of your own.

    name: in logs; weight: with which it is added; validated: whether it is part of the validation loss, for which a
    step has the whole split's scores but no images; judged_by_batch: whether it is part of the validation loss as a
    mean over batches, with images, and with what it draws the same each time; given: the kind of maps from outside that
    it needs, "mask", "edited" or ""; apart: whether it is minimised in an update of its own, with its own optimiser,
    where no plan says when it counts.

    >>> class Entropy(Loss):
    ...     name, weight = "entropy", 0.1
    ...     def __call__(self, step):
    ...         a = step.made.attention_map.clamp(1e-6, 1 - 1e-6)
    ...         return -(a * a.log() + (1 - a) * (1 - a).log()).mean()
    """

    name: str = "loss"
    weight: float = 1.0
    validated: ClassVar[bool] = False
    judged_by_batch: ClassVar[bool] = False
    given: str = ""
    apart: bool = False

    @abstractmethod
    def __call__(self, step: Step) -> Tensor:
        """The unweighted value, a scalar with its graph."""

    def companion(self, beginning: Beginning) -> Companion | None:
        """What it keeps from step to step, made anew for each training; nothing by default.

        Raises:
            TrainingError: the network does not make what this loss is on.
        """
        return None

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
