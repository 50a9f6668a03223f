"""Captum's infidelity and max-sensitivity."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from explainers.core.maps import as_tensor
from explainers.errors import DependencyError, OptionError
from explainers.evaluation.measuring.chunk import Chunk
from explainers.evaluation.measuring.subject import Measured, Measuring, Subject
from explainers.evaluation.metric import Metric, register_metric


class CaptumMetric(Metric):
    """A metric that captum computes.

    Args:
        samples: random perturbations per image, drawn from its content and the seed.
    """

    better = "lower"
    within = (0.0, math.inf)
    reference = "Yeh et al. 2019"

    def __init__(self, *, samples: int = 10) -> None:
        if samples < 1:
            raise OptionError(f"samples={samples!r}; expected at least 1")
        self.samples = samples

    def settings(self) -> dict[str, Any]:
        """The samples."""
        return {"samples": self.samples}


@register_metric
class Infidelity(CaptumMetric):
    """E[(β I·A − (f(x) − f(x − I)))²] over normal noise I, the map A the same for all channels, β the scale that fits.

    Args:
        noise: standard deviation of I, in units of the network's input.

    Cost: two passes per sample, of which captum spends one on the image as it is.

    Source: Yeh et al. 2019, definition 2.1 with the optimal scale of its section 4.
    """

    name = "infidelity"

    def __init__(self, *, samples: int = 10, noise: float = 0.1) -> None:
        super().__init__(samples=samples)
        if noise <= 0:
            raise OptionError(f"noise={noise!r}; expected a standard deviation above 0")
        self.noise = noise

    def settings(self) -> dict[str, Any]:
        """Samples and noise."""
        return {**super().settings(), "noise": self.noise}

    def measure(self, subject: Subject) -> Measuring:
        """Through the predictor, so that a batch is as large as memory allows."""
        yield []
        chunk, passes = subject.chunk, subject.passes
        drawn = self.noise * _drawn(chunk, self.samples, torch.randn)

        def forward(images: Tensor) -> Tensor:
            return passes.reading(passes.predictor(images))

        def perturb(images: Tensor) -> tuple[Tensor, Tensor]:
            return drawn, images - drawn

        values = _captum().infidelity(
            forward,
            perturb,
            chunk.images,
            _scaled(subject.maps, subject.maps)[:, None].expand_as(chunk.images).to(chunk.images.dtype),
            target=chunk.targets,
            n_perturb_samples=self.samples,
            normalize=True,
        )
        return [Measured(value) for value in values.double().tolist()]


@register_metric
class MaxSensitivity(CaptumMetric):
    """max over ‖e‖∞ ≤ r of ‖A(x + e) − A(x)‖ / ‖A(x)‖: how far the map moves when the image hardly does.

    Args:
        radius: r, in units of the network's input.

    Cost: a map per sample.

    Source: Yeh et al. 2019, definition 4.1.
    """

    name = "max-sensitivity"
    needs = frozenset({"explainer"})

    def __init__(self, *, samples: int = 10, radius: float = 0.02) -> None:
        super().__init__(samples=samples)
        if radius <= 0:
            raise OptionError(f"radius={radius!r}; expected a distance above 0")
        self.radius = radius

    def settings(self) -> dict[str, Any]:
        """Samples and radius."""
        return {**super().settings(), "radius": self.radius}

    def measure(self, subject: Subject) -> Measuring:
        """Calls the explainer again, a chunk of images at a time."""
        yield []
        explain, chunk = subject.explain, subject.chunk
        assert explain is not None
        drawn = self.radius * (2 * _drawn(chunk, self.samples, torch.rand) - 1)

        def maps(images: Tensor | tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
            given = images[0] if isinstance(images, tuple) else images
            targets = chunk.targets.repeat_interleave(len(given) // len(chunk))
            parts = zip(given.split(len(chunk)), targets.split(len(chunk)), strict=True)
            own = subject.maps.repeat_interleave(len(given) // len(chunk), dim=0)
            made = _scaled(torch.cat([as_tensor(explain(*part)).to(given) for part in parts]), own)
            return (made,) if isinstance(images, tuple) else made  # captum hands over the image as it is in a tuple

        values = _captum().sensitivity_max(
            maps,
            chunk.images,
            lambda images, _: images + drawn,
            perturb_radius=self.radius,
            n_perturb_samples=self.samples,
        )
        return [Measured(value) for value in values.double().tolist()]


def _scaled(maps: Tensor, own: Tensor) -> Tensor:
    """Maps (N, *axes) in units of the largest magnitude of each image's own map, of which both measures know no more.

    The squares of very small or large values would be 0 or infinite.
    """
    largest = own.double().abs().flatten(1).amax(dim=1).clamp(min=torch.finfo(torch.float64).tiny)
    return (maps.double() / largest.reshape(-1, *[1] * (maps.ndim - 1))).to(maps.dtype)


def _drawn(chunk: Chunk, samples: int, draw: Any) -> Tensor:
    """(N · samples, C, *axes) random numbers, those of an image one after the other, the same in every batch."""
    size = (samples, *chunk.images.shape[1:])
    seeds = [torch.Generator().manual_seed(seed) for seed in chunk.seeds()]
    each = [draw(size, generator=seed, dtype=torch.float32, device="cpu") for seed in seeds]
    return torch.cat(each).to(chunk.images)


def _captum() -> Any:
    try:
        import captum.metrics
    except ImportError as error:
        raise DependencyError(
            "infidelity and max-sensitivity are captum's: pip install 'explainers[captum]'"
        ) from error
    return captum.metrics
