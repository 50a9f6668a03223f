"""What takes the place of removed pixels; a choice that changes the result, so each has a name."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.errors import OptionError

SUBSTRATES = ("zero", "mean", "blur")
KERNEL, SIGMA, SIDE = 51, 50.0, 224  # Zhang et al. 2021 blur images of 224 pixels so; others in proportion


def substrate_of(images: Tensor, kind: Any) -> Tensor:
    """The substrate of each image (N, C, H, W), in its shape.

    Args:
        kind: "zero" (after normalisation: usually the data's mean colour), "mean" (of each image and channel), "blur"
            (Gaussian), or an image (C, H, W), or one for each (N, C, H, W), as the network takes them.

    Raises:
        OptionError: another name, or images of another shape.
    """
    if isinstance(kind, Tensor):
        if (
            kind.ndim not in (3, 4)
            or kind.shape[-3:] != images.shape[-3:]
            or kind.shape[:-3] not in ((), images.shape[:1])
        ):
            raise OptionError(
                f"the substrate has shape {tuple(kind.shape)}; expected {tuple(images.shape)} or one image"
            )
        return kind.to(images).expand_as(images)
    if kind == "zero":
        return torch.zeros_like(images)
    if kind == "mean":
        return images.mean(dim=(2, 3), keepdim=True).expand_as(images)
    if kind == "blur":
        return blurred(images)
    raise OptionError(f"substrate={kind!r}; expected one of {', '.join(SUBSTRATES)}, or an image as a tensor")


def blurred(images: Tensor, kernel: int | None = None, sigma: float | None = None) -> Tensor:
    """Gaussian blur of (N, C, H, W), edges reflected; by default a kernel of 51 and σ of 50 at 224 pixels, scaled."""
    side = min(images.shape[-2:])
    sigma = SIGMA * side / SIDE if sigma is None else sigma
    kernel = (round(KERNEL * side / SIDE) | 1) if kernel is None else kernel
    half = min(kernel // 2, side - 1)  # reflection needs a pixel more than it pads
    offsets = torch.arange(-half, half + 1, dtype=torch.float64, device="cpu")
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    weights = (weights / weights.sum()).to(images)
    channels = images.shape[1]
    down = weights.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    padded = F.pad(images, (half, half, half, half), mode="reflect")
    return F.conv2d(F.conv2d(padded, down, groups=channels), down.transpose(2, 3), groups=channels)
