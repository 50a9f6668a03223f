"""Heat maps as tensors: out of a layer's channels, of the image's size, scaled to 0 … 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def grad_cam(activation: Tensor, gradient: Tensor) -> Tensor:
    """ReLU of the activation channels weighted by their mean gradient.

    Args:
        activation: (N, K, u, v), the layer's output.
        gradient: (N, K, u, v), gradient of the target score with respect to it.

    Returns:
        (N, u, v), not negative, not scaled.

    Source: Selvaraju et al. 2017, eq. 1 and 2.
    """
    return class_activation(activation, gradient).relu()


def class_activation(activation: Tensor, gradient: Tensor) -> Tensor:
    """The activation's channels weighted by their mean gradient, with signs.

    Behind global average pooling and one linear layer this is the class activation map divided by its positions.

    Args:
        activation: (N, K, u, v), a layer's output; gradient: (N, K, u, v) of the class's score with respect to it.

    Returns:
        (N, u, v), not scaled.

    Source: Zhou et al. 2016, eq. 2; Selvaraju et al. 2017, eq. 1 and 2 without the ReLU.
    """
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    return (weights * activation).sum(dim=1)


def as_tensor(values: Any) -> Tensor:
    """A tensor as it is, anything else on the CPU, whatever torch's default device."""
    return values if isinstance(values, Tensor) else torch.as_tensor(values, device="cpu")


def reduce_channels(maps: Tensor, channels: str | None) -> Tensor:
    """(N, K, C, H, W) to (N, K, H, W): "max" is the largest magnitude, "sum" keeps signs, None changes nothing."""
    if channels == "max":
        return maps.abs().amax(dim=-3)
    if channels == "sum":
        return maps.sum(dim=-3)
    return maps


def upsample(maps: Tensor, size: Sequence[int], extent: tuple[float, float] = (1.0, 1.0)) -> Tensor:
    """(N, K, u, v) to (N, K, H, W), bilinear, corners not aligned.

    Args:
        extent: of the rows and columns of the maps, the share that the image covers, from the first; the rest, a border
            that the network added, is cut off.
    """
    if extent != (1.0, 1.0):
        whole = [max(round(length / share), 1) for length, share in zip(size, extent, strict=True)]
        return upsample(maps, whole)[..., : size[0], : size[1]]
    if maps.shape[-2:] == torch.Size(size):
        return maps
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)


CONSTANT = "constant"  # the status of a map that shows nothing
CONSTANT_REASON = "the map is the same everywhere, so it shows nothing of this image"


def is_constant(values: Tensor) -> bool:
    """Whether a map is the same everywhere, as far as float32 can tell: all of it zero, or no pixel above another."""
    low, high = values.amin(), values.amax()
    return bool(high - low <= 1e-6 * torch.maximum(low.abs(), high.abs()))


def scaled(maps: Tensor) -> Tensor:
    """Each map (…, H, W) scaled to 0 … 1; zero where it is the same everywhere."""
    low, high = maps.amin(dim=(-2, -1), keepdim=True), maps.amax(dim=(-2, -1), keepdim=True)
    span = high - low
    return torch.where(span > 0, (maps - low) / span.clamp(min=torch.finfo(maps.dtype).tiny), 0)
