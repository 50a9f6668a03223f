"""What methods share that change the image, or a layer, many times and watch the score."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from explainers.core.explainer import Explainer
from explainers.core.targets import resolve_targets
from explainers.network.output import Output
from explainers.passes.activation import Reading, checked_activation, reading_of
from explainers.passes.predictor import Predictor


class PerturbationExplainer(Explainer):
    """A method made of forward passes through a `Predictor`; works on black boxes.

    Args:
        activation: "auto", "softmax", "sigmoid" or None: what turns scores into the f(x) that is watched, see
            `explainers.passes.activation.reading_of`; details say what was chosen.
        passes: `batch_size`, `precision`, `compile` and `progress` of the `Predictor`.
    """

    def __init__(
        self, model: Any, *, output: Output | None = None, activation: str | None = "auto", **passes: Any
    ) -> None:
        super().__init__(model, output=output)
        self.activation = checked_activation(activation)
        self.predictor = Predictor(model, output=output, **passes)

    def clean(self, images: Tensor, targets: Any) -> tuple[Reading, Tensor]:
        """What turns scores into f(x), decided on the images as they are, and the target classes (N, K)."""
        with torch.no_grad():
            scores = self.scores(images)
        reading = reading_of(self.network, images, scores, self.activation, self.output)
        return reading, resolve_targets(targets, scores)
