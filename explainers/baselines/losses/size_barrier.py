"""Size barrier: neither the foreground nor the background of an image may be empty."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from explainers.errors import MapError, OptionError


def log_barrier(z: Tensor, t: float) -> Tensor:
    """The extended logarithmic barrier, for the wish z ≤ 0: −log(−z)/t where z ≤ −1/t², else tz − log(1/t²)/t + 1/t.

    Value and slope are continuous, and it is finite where the wish is not met. The larger t, the steeper the wall.

    Source: Kervadec et al. 2019, log-barrier extensions.
    """
    if not 0 < t < math.inf:
        raise OptionError(f"t={t}; expected a positive number")
    border = -1 / t**2
    inside = -(-z.clamp(max=border)).log() / t  # clamped, so that the branch not taken has a gradient
    outside = t * z - math.log(1 / t**2) / t + 1 / t
    return torch.where(z <= border, inside, outside)


def size_barrier(maps: Tensor, t: float) -> Tensor:
    """½ Σ_channels of the batch's mean barrier of −area, where a channel's area is the sum of its probabilities.

    Areas are in pixels, one for each image and channel, so it is negative for regions of more than a pixel, and the
    pressure on an image's channel is 1 / (2 t N area).

    Args:
        maps: (N, 2, H, W) probabilities of background and foreground.
        t: of the barrier; training starts with 1 and raises it.

    Returns:
        A scalar with its graph, without the term's weight.

    Raises:
        MapError: maps of another shape.

    Source: Belharbi et al. 2022 (F-CAM). The mean over the batch is of the images' barriers, not of their areas.
    """
    if maps.ndim != 4 or maps.shape[1] != 2:
        raise MapError(f"maps of shape {tuple(maps.shape)}; expected (N, 2, H, W), background and foreground")
    return log_barrier(-maps.sum(dim=(2, 3)), t).mean()
