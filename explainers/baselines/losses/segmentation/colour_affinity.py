"""Colour affinity (dense CRF): pixels that are near and alike in colour shall fall on the same side."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from explainers.baselines.losses.loss import Loss, Step
from explainers.baselines.losses.option_checks import not_negative
from explainers.baselines.losses.registry import register_loss
from explainers.baselines.losses.segmentation.bilateral_sums import bilateral_sums
from explainers.baselines.losses.segmentation.two_sides import two_sides
from explainers.errors import MapError, OptionError, TrainingError

EXACT = 64 * 64  # pixels of which every pair is summed
USUAL = 224 * 224  # pixels for which weights of the sum are stated


def colour_affinity(
    images: Tensor,
    maps: Tensor,
    sigma_rgb: float = 15.0,
    sigma_xy: float = 100.0,
    *,
    exact: int = EXACT,
    rng: torch.Generator | None = None,
) -> Tensor:
    """Σ_channels Σ_ij W_ij S_i (1 − S_j), the mean over the batch: how often like pixels are told apart.

    W_ij = exp(−‖c_i − c_j‖² / 2σ_rgb² − ‖p_i − p_j‖² / 2σ_xy²), colours c and places p in pixels; i = j counts with
    weight 1. It is 0 where every pixel has the same certain label. The authors' code has −Σ W_ij S_i S_j, which for
    maps whose channels sum to 1 is this less a constant of the image, and has the same gradient in any logits.

    A sum over pixels², so that its weight belongs to a size: (H·W)² times it is the same weight for another.

    Args:
        images: (N, C, H, W), raw colours 0 … 255, not normalised; nothing is learned by them.
        maps: (N, 2, H, W) probabilities of background and foreground.
        sigma_rgb: in steps of colour.
        sigma_xy: in pixels.
        exact: images of more pixels are not summed over all pairs but over those of so many pixels, drawn anew each
            time and shared by the batch: an estimate without bias, as is its gradient.
        rng: to draw them, on the CPU; torch's own by default.

    Returns:
        A scalar, not negative, with its graph (once differentiable).

    Raises:
        MapError: sizes that do not fit.

    Cost: N · min(H·W, exact)² / 2 weights, none of which is kept; half a second for 32 images of 64 × 64 on one core.

    Source: Krähenbühl and Koltun 2011 (the kernel); Tang et al. 2018 (the loss); Belharbi et al. 2022 (σ).
    """
    if maps.ndim != 4 or maps.shape[1] != 2 or images.ndim != 4:
        raise MapError(f"images {tuple(images.shape)}, maps {tuple(maps.shape)}; expected (N, C, H, W), (N, 2, H, W)")
    if images.shape[0] != maps.shape[0] or images.shape[2:] != maps.shape[2:]:
        raise MapError(f"images {tuple(images.shape)}, maps {tuple(maps.shape)}; expected as many, of one size")
    _check(sigma_rgb, sigma_xy, exact)
    with torch.autocast(maps.device.type, enabled=False):
        maps = maps if maps.dtype == torch.float64 else maps.float()
        labels, colours = maps.flatten(2), images.detach().to(maps).flatten(2).mT
        height, width = maps.shape[2:]
        places = torch.cartesian_prod(torch.arange(height), torch.arange(width)).to(maps)
        sigmas, pixels = (sigma_rgb, sigma_xy), height * width
        if pixels <= exact:
            return _Affinity.apply(labels, colours, places, sigmas).mean()
        drawn = torch.randperm(pixels, generator=rng)[:exact].to(maps.device)
        some = labels[:, :, drawn]
        among = _Affinity.apply(some, colours[:, drawn], places[drawn], sigmas) - _alone(some)
        share = exact * (exact - 1) / (pixels * (pixels - 1))  # of the pairs of two pixels
        return (_alone(labels) + among / share).mean()


def _check(sigma_rgb: float, sigma_xy: float, exact: int) -> None:
    if not (0 < sigma_rgb < math.inf and 0 < sigma_xy < math.inf) or exact < 2:
        raise OptionError(
            f"sigma_rgb={sigma_rgb}, sigma_xy={sigma_xy}, exact={exact}; expected positive widths and 2 pixels or more"
        )


def _alone(labels: Tensor) -> Tensor:
    """(N,): what pairs i = i add."""
    return (labels * (1 - labels)).sum(dim=(1, 2))


class _Affinity(torch.autograd.Function):
    """(N,) sums of S_i W_ij (1 − S_j); keeps their slope W (1 − 2S) instead of W."""

    @staticmethod
    def forward(ctx: Any, labels: Tensor, colours: Tensor, places: Tensor, sigmas: tuple[float, float]) -> Tensor:
        sums = bilateral_sums(torch.cat([labels, torch.ones_like(labels[:, :1])], 1), colours, places, sigmas)
        of_labels, of_all = sums[:, :-1], sums[:, -1:]
        ctx.save_for_backward(of_all - 2 * of_labels)
        return (labels * (of_all - of_labels)).sum(dim=(1, 2))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (slope,) = ctx.saved_tensors
        return gradients[0][:, None, None] * slope, None, None, None


@register_loss("colour-affinity")
@dataclass(frozen=True)
class ColourAffinity(Loss):
    """The affinity of the attention map, enlarged to the image where it is smaller, to the image's raw colours.

    It is part of the validation loss, as a network that learns nothing but its map (F-CAM) is chosen by that.

    Args:
        weight: of the sum at 224 × 224 pixels; that of another size is brought to it by the ratio of pixels, squared.
        sigma_rgb, sigma_xy, exact: see `colour_affinity`; σ_xy in pixels of the image as it is.

    Source: Belharbi et al. 2022 (F-CAM) and code.
    """

    weight: float = 2e-9
    sigma_rgb: float = 15.0
    sigma_xy: float = 100.0
    exact: int = EXACT
    judged_by_batch = True
    name = "colour-affinity"

    def __post_init__(self) -> None:
        not_negative(weight=self.weight)
        _check(self.sigma_rgb, self.sigma_xy, self.exact)

    def __call__(self, step: Step) -> Tensor:
        """What is sampled comes from the step's generator."""
        maps, size = two_sides(step), step.images.shape[2:]
        if maps.shape[2:] != size:
            maps = F.interpolate(maps, size=size, mode="bilinear", align_corners=False)
        value = colour_affinity(raw_colours(step), maps, self.sigma_rgb, self.sigma_xy, exact=self.exact, rng=step.rng)
        return value * (USUAL / (size[0] * size[1])) ** 2


def raw_colours(step: Step) -> Tensor:
    """(N, C, H, W): the step's images in 0 … 255, as they were before they were normalised.

    Raises:
        TrainingError: the step does not say how that was done.
    """
    if step.preprocessing is None:
        raise TrainingError("this step does not say how its images were normalised, so their colours are not known")
    mean, std = (
        torch.tensor(each, device=step.images.device)[:, None, None]
        for each in (step.preprocessing.mean, step.preprocessing.std)
    )
    return ((step.images.float() * std + mean) * 255).round()  # whole numbers, whose differences are exact
