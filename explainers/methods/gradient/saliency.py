"""The gradient of the class score with respect to the image, plain, times the image, and averaged over noise."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from explainers.core.gradient_explainer import GradientExplainer
from explainers.core.registry import register
from explainers.core.targets import resolve_targets
from explainers.errors import OptionError
from explainers.network.gradients import target_gradients
from explainers.network.input import fixed_batch
from explainers.network.output import Output


@register
class Saliency(GradientExplainer):
    """How much a small change of each pixel changes the class score.

    >>> maps = Saliency(model)(images, targets=3)  # doctest: +SKIP
    """

    name = "saliency"
    reference = "Simonyan et al. 2014"

    def attribution(self, images: Tensor, targets: Any) -> Tensor:
        """∂S_c/∂x."""
        leaf, scores, classes = self.graph(images, targets)
        return target_gradients(scores, classes, [leaf])[0]


@register
class InputXGradient(GradientExplainer):
    """Image times gradient, summed over channels: the linear part of the score, pixel by pixel."""

    name = "input-x-gradient"
    reference = "Shrikumar et al. 2016"
    signed = True

    def __init__(self, model: Any, *, output: Output | None = None, channels: str | None = "sum") -> None:
        super().__init__(model, output=output, channels=channels)

    def attribution(self, images: Tensor, targets: Any) -> Tensor:
        """x ⊙ ∂S_c/∂x."""
        leaf, scores, classes = self.graph(images, targets)
        return images[:, None] * target_gradients(scores, classes, [leaf])[0]


@register
class SmoothGrad(GradientExplainer):
    """Mean gradient over noisy copies of the image.

    Args:
        samples: copies per image; sigma: standard deviation of the noise as a share of (max x − min x) of each image.
        seed: of the noise, which is the same for every image and so does not depend on the batch.
        batch_size: noisy images per forward pass.

    Source: Smilkov et al. 2017.
    """

    name = "smooth-grad"
    reference = "Smilkov et al. 2017"

    def __init__(
        self,
        model: Any,
        *,
        output: Output | None = None,
        channels: str | None = "max",
        samples: int = 50,
        sigma: float = 0.15,
        seed: int = 0,
        batch_size: int = 16,
    ) -> None:
        super().__init__(model, output=output, channels=channels)
        if samples < 1 or sigma < 0 or batch_size < 1:
            raise OptionError(
                f"samples={samples}, sigma={sigma}, batch_size={batch_size}: "
                "expected samples ≥ 1, sigma ≥ 0, batch_size ≥ 1"
            )
        self.samples, self.sigma, self.seed, self.batch_size = samples, sigma, seed, batch_size

    @classmethod
    def trial(cls, model: Any, images: Tensor, *, output: Output | None = None) -> None:
        """Two samples."""
        cls(model, output=output, samples=2)(images[:1])

    def attribution(self, images: Tensor, targets: Any) -> Tensor:
        """Mean over noise of ∂S_c/∂x at x + noise, c chosen on the image without noise."""
        with torch.no_grad():
            clean = self.scores(images)
        classes = resolve_targets(targets, clean)
        scale = self.sigma * (images.flatten(1).amax(1) - images.flatten(1).amin(1))
        scale = scale.view(-1, 1, *[1] * (images.ndim - 1))
        total = images.new_zeros(len(images), classes.shape[1], *images.shape[1:])
        generator = torch.Generator().manual_seed(self.seed)
        per_pass = max(1, self.batch_size // len(images)) if fixed_batch(self.network) is None else 1
        for start in range(0, self.samples, per_pass):
            count = min(per_pass, self.samples - start)
            # Drawn in float64 one sample after the other: the same noise for every batch size, device and precision.
            noise = torch.stack([_noise(images.shape[1:], generator) for _ in range(count)]).to(images)
            noisy = (images[:, None] + scale * noise).flatten(0, 1)
            leaf, scores, _ = self.graph(noisy, 0)
            gradient = target_gradients(scores, classes.repeat_interleave(count, dim=0), [leaf])[0]
            total += gradient.unflatten(0, (len(images), count)).sum(dim=1)
        return total / self.samples


def _noise(shape: torch.Size, generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64, device="cpu")
