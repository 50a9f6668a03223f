"""What methods share that change the image, or a layer, many times and watch the score."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from explainers.core.explainer import Explainer
from explainers.core.targets import resolve_targets
from explainers.network.output import Output, at_least_single, checked_activation
from explainers.passes.predictor import Predictor


class PerturbationExplainer(Explainer):
    """A method made of forward passes through a `Predictor`; works on black boxes.

    Args:
        activation: "softmax", "sigmoid" or None: what turns scores into the probabilities that are watched.
        passes: `batch_size`, `precision`, `compile` and `progress` of the `Predictor`.
    """

    def __init__(
        self, model: Any, *, output: Output | None = None, activation: str | None = "softmax", **passes: Any
    ) -> None:
        super().__init__(model, output=output)
        self.activation = checked_activation(activation)
        self.predictor = Predictor(model, output=output, **passes)

    def clean(self, images: Tensor, targets: Any) -> tuple[Tensor, Tensor]:
        """Probabilities (N, classes) of the images as they are, in full precision, and the target classes (N, K)."""
        with torch.no_grad():
            scores = self.scores(images)
        return self.activation(at_least_single(scores)), resolve_targets(targets, scores)
