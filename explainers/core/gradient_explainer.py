"""What methods share that are a gradient of the score with respect to the image."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from torch import Tensor

from explainers.core.explainer import Explainer
from explainers.core.maps import reduce_channels
from explainers.core.targets import resolve_targets
from explainers.errors import OptionError
from explainers.network.ends import warn_if_normalised
from explainers.network.output import Output


class GradientExplainer(Explainer):
    """A method whose map is made from gradients with respect to the image.

    Args:
        channels: "max" (largest magnitude over the channels), "sum", or None to keep (N, C, *axes).
    """

    needs = frozenset({"gradients"})

    def __init__(self, model: Any, *, output: Output | None = None, channels: str | None = "max") -> None:
        super().__init__(model, output=output)
        if channels not in ("max", "sum", None):
            raise OptionError(f"channels={channels!r}; expected 'max', 'sum' or None")
        self.channels = channels

    def compute(self, images: Tensor, targets: Any) -> Tensor:
        """The reduced attribution of each target."""
        return reduce_channels(self.attribution(images, targets), self.channels)

    @abstractmethod
    def attribution(self, images: Tensor, targets: Any) -> Tensor:
        """(N, K, C, *axes) values before the channels are reduced."""

    def graph(self, images: Tensor, targets: Any) -> tuple[Tensor, Tensor, Tensor]:
        """One forward pass: (image leaf that requires grad, scores, classes (N, K))."""
        leaf = images.detach().requires_grad_()
        return leaf, *self.read(self.scores(leaf), targets)

    def read(self, scores: Tensor, targets: Any) -> tuple[Tensor, Tensor]:
        """Scores that a gradient is to be taken of, looked at, and the classes (N, K)."""
        if scores.requires_grad:
            warn_if_normalised(scores)
        return scores, resolve_targets(targets, scores)
