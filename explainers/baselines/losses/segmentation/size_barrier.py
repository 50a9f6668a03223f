"""Size barrier: neither the foreground nor the background of an image may be empty."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from explainers.baselines.losses.loss import Loss, Step
from explainers.baselines.losses.option_checks import not_negative
from explainers.baselines.losses.registry import register_loss
from explainers.baselines.losses.segmentation.two_sides import two_sides
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


@register_loss("size-barrier")
@dataclass(frozen=True)
class SizeBarrier(Loss):
    """The barrier on the areas of the attention map, A, and of what is beside it, 1 − A, both of the map's own size.

    It is no part of the validation loss: as t grows it does too, whatever the network does.

    Args:
        weight: of the term.
        t: of the barrier in the first epoch; growth: its factor from epoch to epoch; most: where it stays.

    Source: Belharbi et al. 2022 (F-CAM) and code.
    """

    weight: float = 0.1
    t: float = 1.0
    growth: float = 1.01
    most: float = 10.0
    name = "size-barrier"

    def __post_init__(self) -> None:
        not_negative(weight=self.weight)
        if not 0 < self.t <= self.most < math.inf or not 1 <= self.growth < math.inf:
            raise OptionError(
                f"t={self.t}, growth={self.growth}, most={self.most}; expected a positive t that grows by a factor of "
                "at least 1 up to most"
            )

    def at(self, epoch: int) -> float:
        """t of an epoch, counted from 0."""
        steps = epoch * math.log(self.growth)
        return self.most if math.log(self.t) + steps >= math.log(self.most) else self.t * self.growth**epoch

    def __call__(self, step: Step) -> Tensor:
        """With the t of the step's epoch."""
        return size_barrier(two_sides(step), self.at(step.epoch))
