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
    """The substrate of each image (N, C, *axes), in its shape.

    Args:
        kind: "zero" (after normalisation: usually the data's mean colour), "mean" (of each image and channel), "blur"
            (Gaussian), or an image (C, *axes), or one for each (N, C, *axes), as the network takes them.

    Raises:
        OptionError: another name, or images of another shape.
    """
    if isinstance(kind, Tensor):
        if kind.shape not in (images.shape[1:], images.shape):
            raise OptionError(
                f"the substrate has shape {tuple(kind.shape)}; expected {tuple(images.shape)} or one image"
            )
        return kind.to(images).expand_as(images)
    if kind == "zero":
        return torch.zeros_like(images)
    if kind == "mean":
        return images.mean(dim=tuple(range(2, images.ndim)), keepdim=True).expand_as(images)
    if kind == "blur":
        return blurred(images)
    raise OptionError(f"substrate={kind!r}; expected one of {', '.join(SUBSTRATES)}, or an image as a tensor")


def blurred(images: Tensor, kernel: int | None = None, sigma: float | None = None) -> Tensor:
    """Gaussian blur of (N, C, *axes), edges reflected; by default a kernel of 51 and σ of 50 at 224 pixels, scaled.

    An image is measured by its shorter side. Of a volume each axis is blurred in proportion to its own length, since a
    few thick slices say nothing of what is in them; an axis of a single position is not blurred.
    """
    sides, axes = images.shape[2:], images.ndim - 2
    measured = (min(sides),) * 2 if axes == 2 else sides
    weights = [_bell(side, length, kernel, sigma) for side, length in zip(measured, sides, strict=True)]
    halves = [len(each) // 2 for each in weights]
    padded = F.pad(images, [half for each in reversed(halves) for half in (each, each)], mode="reflect")
    for axis, each in enumerate(weights):
        shape = [1] * axes
        shape[axis] = -1
        one = each.to(images).view(1, 1, *shape)
        padded = CONVOLVED[axes](padded, one.expand(images.shape[1], *one.shape[1:]), groups=images.shape[1])
    return padded


CONVOLVED = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def _bell(side: int, length: int, kernel: int | None, sigma: float | None) -> Tensor:
    """Weights of a Gaussian for an axis of that length, in an image measured by `side`; they sum to 1."""
    sigma = SIGMA * side / SIDE if sigma is None else sigma
    kernel = (round(KERNEL * side / SIDE) | 1) if kernel is None else kernel
    half = min(kernel // 2, side - 1, length - 1)  # reflection needs a pixel more than it pads
    offsets = torch.arange(-half, half + 1, dtype=torch.float64, device="cpu")
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    return weights / weights.sum()
