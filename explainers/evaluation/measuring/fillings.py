"""What stands in for pixels that are gone. It changes every score, so it has a name and is printed with it."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor

from explainers.errors import OptionError
from explainers.passes.substrate import blurred, substrate_of

IMAGE = "image"  # the image as it is, for the ends of curves
BASELINES = ("zero", "black", "mean", "blur", "noise")
BLUR_KERNEL, BLUR_SIGMA, BLUR_SIDE = 11, 5.0, 224  # Petsiuk et al. 2018; wider in proportion on larger images
Baseline = str | Tensor


def checked_baseline(baseline: Any) -> Baseline:
    """The setting, if there is such a one.

    Raises:
        OptionError: neither a name of BASELINES nor an image.
    """
    if isinstance(baseline, Tensor) and baseline.ndim in (2, 3, 4) and baseline.is_floating_point():
        return baseline
    if isinstance(baseline, str) and baseline in BASELINES:
        return baseline
    raise OptionError(
        f"baseline={baseline!r}; expected one of {', '.join(BASELINES)}, or an image (C, *axes) as the network takes it"
    )


def baseline_name(baseline: Baseline) -> str:
    """How tables name it: an image by its hash."""
    return baseline if isinstance(baseline, str) else f"image {_digest(baseline)[:8]}"


def baseline_of(images: Tensor, baseline: Baseline, *, black: Tensor | None = None, seed: int = 0) -> Tensor:
    """The baseline of each image (N, C, *axes), in its shape.

    Args:
        baseline: "zero" (after normalisation: usually the data's mean colour), "black" (a pixel of 0 before it), "mean"
            (of each image and channel), "blur" (Gaussian, 11 pixels wide with σ = 5 up to 224 pixels, wider in
            proportion on larger ones, by their shortest side), "noise" (normal, with each image's mean and spread per
            channel), or an image.
        black: (C,) values of a black pixel after normalisation.
        seed: of "noise".

    Raises:
        OptionError: an image of another size; "black" where nothing is known about the normalisation.
    """
    if isinstance(baseline, Tensor) or baseline in ("zero", "mean"):
        return substrate_of(images, baseline)
    if baseline == "black":
        if black is None:
            raise OptionError(
                "baseline 'black': the network's normalisation is not known; load it with load_model, pass "
                "preprocessing=, or give the black image as a tensor"
            )
        return black.to(images).view(1, -1, *[1] * (images.ndim - 2)).expand_as(images)
    if baseline == "blur":
        scale = max(1.0, min(images.shape[2:]) / BLUR_SIDE)
        return blurred(images, round(BLUR_KERNEL * scale) | 1, BLUR_SIGMA * scale)
    made = [_noise(image, image_seed(image, seed)) for image in images]
    return torch.stack(made)


def image_seed(image: Tensor, seed: int) -> int:
    """A seed of the image's own, from its content: the same wherever it stands in a data set."""
    # torch's generator takes 32 bits of a seed.
    return int(hashlib.sha256(f"{seed} {_digest(image)}".encode()).hexdigest()[:8], 16)


def _noise(image: Tensor, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(image.shape, generator=generator, dtype=torch.float32, device="cpu").to(image)
    dims = tuple(range(1, image.ndim))
    mean, spread = image.mean(dim=dims, keepdim=True), image.std(dim=dims, keepdim=True, correction=0)
    return mean + spread * drawn


def _digest(image: Tensor) -> str:
    return hashlib.sha256(image.detach().float().cpu().contiguous().numpy().tobytes()).hexdigest()
