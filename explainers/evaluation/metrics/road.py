"""ROAD: pixel flipping whose holes are filled from their surroundings, so that a hole tells nothing by its shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from explainers.errors import OptionError
from explainers.evaluation.measuring.curves import Curve
from explainers.evaluation.measuring.subject import Measured, Measuring, Subject
from explainers.evaluation.metric import Metric, register_metric
from explainers.evaluation.metrics.imputation import imputed

PERCENT = (10, 20, 30, 40, 50, 60, 70, 80, 90)
NOISE = 0.01


@register_metric
class ROAD(Metric):
    """Mean over k of f without the k percent least relevant pixels less f without the k percent most relevant ones.

    Pixels are removed by exact count, ties by position, and filled by noisy linear imputation.

    Args:
        percent: the k; noise: standard deviation of what is added to imputed pixels.

    Cost: two passes per k, and an imputation each.

    Source: Rong et al. 2022.
    """

    name = "road"
    better = "higher"
    within_probability = (-1.0, 1.0)
    reference = "Rong et al. 2022"
    across = "share removed"
    heights = "f(x) without the least − without the most"
    axes = (2,)  # a removed pixel is the mean of its eight neighbours

    def __init__(self, *, percent: Sequence[float] = PERCENT, noise: float = NOISE) -> None:
        self.percent, self.noise = tuple(percent), noise
        if not self.percent or not all(0 < k < 100 for k in self.percent):
            raise OptionError(f"percent={percent!r}; expected percentages above 0 and below 100")
        if noise < 0:
            raise OptionError(f"noise={noise!r}; expected a standard deviation of at least 0")

    def settings(self) -> dict[str, Any]:
        """Percentages and noise."""
        return {"baseline": "imputation", "percent": self.percent, "noise": self.noise}

    def measure(self, subject: Subject) -> Measuring:
        """All images, shares and both orders in one job."""
        chunk, count = subject.chunk, len(self.percent)
        seeds = [torch.Generator().manual_seed(seed) for seed in chunk.seeds()]
        size = chunk.images.shape[1:]
        drawn = [torch.randn(size, generator=each, dtype=torch.float32, device="cpu") for each in seeds]
        noise = self.noise * torch.stack(drawn).to(chunk.images)
        pixels = chunk.images.shape[-2] * chunk.images.shape[-1]
        amounts = [round(k / 100 * pixels) for k in self.percent]
        ranks = torch.stack([_ranks(order.pixels) for order in subject.walks.order()])
        answers = yield [_Removed(chunk.images, noise, ranks, amounts)]
        seen = answers[0].probability.numpy().reshape(len(chunk), 2, count)
        shares = np.array(self.percent) / 100
        found = []
        for most, least in seen:
            found.append(Measured(float((least - most).mean()), Curve(shares, least - most)))
        return found


@dataclass(frozen=True)
class _Removed:
    """Copies in the order image, most or least relevant, share; imputed a batch at a time."""

    images: Tensor
    noise: Tensor
    ranks: Tensor
    amounts: Sequence[int]

    @property
    def rows(self) -> Sequence[int]:
        return np.repeat(np.arange(len(self.images)), 2 * len(self.amounts)).tolist()

    def fill(self, first: int, last: int, buffer: Tensor) -> None:
        each = len(self.amounts)
        places = [(number // (2 * each), number // each % 2, number % each) for number in range(first, last)]
        rows = torch.tensor([row for row, _, _ in places], device=self.images.device)
        pixels = self.ranks.shape[1]
        holes = []
        for row, least, share in places:
            amount, ranks = self.amounts[share], self.ranks[row]
            holes.append(ranks >= pixels - amount if least else ranks < amount)
        removed = torch.stack(holes).unflatten(1, tuple(self.images.shape[-2:]))
        buffer.copy_(imputed(self.images[rows], removed, self.noise[rows]))


def _ranks(pixels: Tensor) -> Tensor:
    """Place of each pixel in an order."""
    return torch.empty_like(pixels).scatter_(0, pixels, torch.arange(len(pixels), device=pixels.device))
