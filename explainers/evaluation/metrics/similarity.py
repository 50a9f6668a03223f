"""How alike two heat maps are: of two explainers, or of one on two networks.

All functions take finite maps (N, *axes) in pairs and return (N,) float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.core.maps import scaled
from explainers.errors import OptionError
from explainers.evaluation.measuring.ranking import ranked
from explainers.evaluation.measuring.subject import Measured, Measuring, Subject
from explainers.evaluation.metric import Metric, register_metric

WINDOW, SIGMA, K1, K2 = 11, 1.5, 0.01, 0.03  # Wang et al. 2004


def ssim(
    first: Tensor,
    second: Tensor,
    *,
    data_range: float | None = None,
    window: int | str = "gaussian",
    unbiased: bool = False,
) -> Tensor:
    """Structural similarity: the mean of (2 μ μ' + C1)(2 σ_{12} + C2) / ((μ² + μ'² + C1)(σ² + σ'² + C2)) over windows.

    Windows have a side along each axis of the map. Only those that lie inside it count, which is what scikit-image's
    margin comes to: no border is invented.

    Args:
        data_range: L in C1 = (K1 L)², C2 = (K2 L)², with the maps taken as they are; None scales each map to 0 … 1
            first (a constant map to 0), and L is 1.
        window: "gaussian" (11 pixels, σ 1.5), or an odd number of pixels: the side of a window whose pixels all count
            alike (7 in scikit-image's default).
        unbiased: variances and covariance divided by one less than the window's pixels (scikit-image's default).

    Returns:
        -1 … 1; 1 for equal maps.

    Raises:
        OptionError: a side of less than the window, a window that is none, or a data range that is not above 0.

    Source: Wang et al. 2004, eq. 13, with its Gaussian window and population covariance.
    """
    sides = first.shape[1:]
    side = _checked_window(window)
    if min(sides) < side:
        size, least = (" x ".join(map(str, each)) for each in (sides, [side] * len(sides)))
        raise OptionError(f"maps of {size} pixels; SSIM needs at least {least}, its window")
    if data_range is not None and not data_range > 0:
        raise OptionError(f"data_range={data_range!r}; expected a number above 0, or None to scale the maps to 0 … 1")
    first, second = first.double(), second.double()
    if data_range is None:
        first, second, data_range = scaled(first), scaled(second), 1.0
    means = torch.stack([first, second, first**2, second**2, first * second])
    for axis in range(2, means.ndim - 1):
        moved = _windows(means.shape[axis], window).to(means) @ means.movedim(axis, -2)
        means = moved.movedim(-2, axis)
    means = means @ _windows(means.shape[-1], window).to(means).T
    mean, other, square, other_square, product = means.unbind()
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    luminance = (2 * mean * other + c1) / (mean**2 + other**2 + c1)
    free = side ** len(sides) / (side ** len(sides) - 1) if unbiased else 1.0
    variances = free * (square - mean**2 + other_square - other**2)
    structure = (2 * free * (product - mean * other) + c2) / (variances + c2)
    return (luminance * structure).mean(dim=tuple(range(1, first.ndim)))


def _checked_window(window: int | str) -> int:
    """Its side in pixels."""
    if window == "gaussian":
        return WINDOW
    if isinstance(window, int) and not isinstance(window, bool) and window >= 3 and window % 2 == 1:
        return window
    raise OptionError(f'window={window!r}; expected "gaussian" or an odd number of pixels from 3 on')


def _windows(length: int, window: int | str) -> Tensor:
    """(length - side + 1, length): a window in each row; two products with it cost less than a convolution."""
    side = _checked_window(window)
    offsets = torch.arange(length, device="cpu") - torch.arange(length - side + 1, device="cpu")[:, None]
    weights = torch.ones(offsets.shape, dtype=torch.float64, device="cpu")
    if window == "gaussian":
        weights = torch.exp(-0.5 * ((offsets - side // 2).double() / SIGMA) ** 2)
    weights = torch.where((offsets >= 0) & (offsets < side), weights, 0)
    return weights / weights.sum(dim=1, keepdim=True)


def pearson(first: Tensor, second: Tensor) -> Tensor:
    """Correlation of the pixels' values, -1 … 1; NaN where either map is constant: nothing varies together."""
    # scaling leaves the correlation as it is and makes a constant map exactly 0, whatever its mean is rounded to
    return _correlation(scaled(first.double()).flatten(1), scaled(second.double()).flatten(1))


def spearman(first: Tensor, second: Tensor) -> Tensor:
    """Correlation of the pixels' ranks, -1 … 1, ties at their average rank; NaN where either map is constant.

    The short form 1 - 6 Σ d² / (n³ - n) is wrong with ties, and rectified maps are mostly ties at zero.
    """
    return _correlation(average_ranks(first.flatten(1)), average_ranks(second.flatten(1)))


def average_ranks(values: Tensor) -> Tensor:
    """(N, n) ranks from 1 in ascending order, float64; equal values share the mean of the ranks that they take up."""
    ordered, order = values.sort(dim=1)
    group = F.pad((ordered[:, 1:] != ordered[:, :-1]).cumsum(dim=1), (1, 0))  # of equal values
    size = torch.zeros_like(group).scatter_add(1, group, torch.ones_like(group))
    ranks = (size.cumsum(dim=1) - (size - 1).double() / 2).gather(1, group)
    return torch.empty_like(ranks).scatter(1, order, ranks)


def top_k_intersection(first: Tensor, second: Tensor, k: int | float = 0.1) -> Tensor:
    """Share of the k most important pixels, 0 … 1, that both maps have in common; of equals the earlier pixel counts.

    Args:
        k: an int is a number of pixels, a float in (0, 1] a share of them, rounded, at least one.

    Raises:
        OptionError: k outside these ranges, or more pixels than a map has.

    Source: Ghorbani et al. 2019.
    """
    count = _count(k, first[0].numel())
    chosen = []
    for maps in (first, second):
        values = maps.flatten(1)
        chosen.append(torch.zeros_like(values, dtype=torch.bool).scatter(1, ranked(values)[:, :count], True))
    return (chosen[0] & chosen[1]).sum(dim=1).double() / count


def _count(k: int | float, pixels: int) -> int:
    if isinstance(k, int) and not isinstance(k, bool) and 1 <= k <= pixels:
        return k
    if isinstance(k, float) and 0 < k <= 1:
        return max(1, round(k * pixels))
    raise OptionError(f"k={k!r}; expected a number of pixels from 1 to {pixels}, or a share above 0.0 and up to 1.0")


def _correlation(first: Tensor, second: Tensor) -> Tensor:
    """(N,) Pearson correlation of (N, n) values; NaN where one does not vary."""
    first, second = first - first.mean(dim=1, keepdim=True), second - second.mean(dim=1, keepdim=True)
    length = first.square().sum(dim=1).sqrt() * second.square().sum(dim=1).sqrt()
    return ((first * second).sum(dim=1) / length).clamp(-1, 1)


SIMILARITIES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "spearman": spearman,
    "pearson": pearson,
    "ssim": ssim,
    "top-k": top_k_intersection,
}
RANGES = {"spearman": (-1.0, 1.0), "pearson": (-1.0, 1.0), "ssim": (-1.0, 1.0), "top-k": (0.0, 1.0)}


class LikenessMetric(Metric):
    """Likeness of a map to the map of another explainer of the same evaluation. Cost: no passes.

    Args:
        reference: the title of that explainer.
    """

    better = ""
    within = (-1.0, 1.0)

    def __init__(self, *, reference: str | None = None) -> None:
        if not reference:
            raise OptionError(
                f"{self.name} compares two maps: name the explainer to compare with, as in "
                f'create_metric("{self.name}", reference="grad-cam") or --metric {self.name}:reference=grad-cam'
            )
        self.reference_title = reference

    def settings(self) -> dict[str, Any]:
        """What is compared with."""
        return {"reference": self.reference_title}

    def measure(self, subject: Subject) -> Measuring:
        """All images at once."""
        yield []
        other = subject.others(self.reference_title)
        known = torch.isfinite(other).flatten(1).all(dim=1)
        values = self.likeness(subject.maps, other.nan_to_num()).cpu()
        return [
            Measured(value if there else float("nan"))
            for value, there in zip(values.tolist(), known.tolist(), strict=True)
        ]

    def likeness(self, maps: Tensor, other: Tensor, /) -> Tensor:
        """(N,) values."""
        raise NotImplementedError


@register_metric
class SSIM(LikenessMetric):
    """Structural similarity of two scaled maps, up to 1.

    Args:
        window: "gaussian" (11 pixels, σ = 1.5), or the odd side of a window whose pixels count alike; unbiased: see
            `ssim`. window=7, unbiased=True is scikit-image's default.
    """

    name = "ssim"
    reference = "Wang et al. 2004"

    def __init__(self, *, reference: str | None = None, window: int | str = "gaussian", unbiased: bool = False) -> None:
        super().__init__(reference=reference)
        _checked_window(window)
        self.window, self.unbiased = window, unbiased

    def settings(self) -> dict[str, Any]:
        """What is compared with, window and covariance."""
        return {**super().settings(), "window": self.window, "unbiased": self.unbiased}

    def likeness(self, maps: Tensor, other: Tensor, /) -> Tensor:
        """-1 … 1."""
        return ssim(maps, other, window=self.window, unbiased=self.unbiased)


@register_metric
class Spearman(LikenessMetric):
    """Rank correlation of two maps, -1 … 1, average ranks for ties; not defined for a constant map."""

    name = "spearman"
    reference = "Spearman 1904"
    likeness = staticmethod(spearman)


@register_metric
class Pearson(LikenessMetric):
    """Correlation of two maps, -1 … 1; not defined for a constant map."""

    name = "pearson"
    reference = "Pearson 1895"
    likeness = staticmethod(pearson)


@register_metric
class TopK(LikenessMetric):
    """Share of the k most important pixels that two maps have in common.

    Args:
        k: a number of pixels, or (a float) a share of them.
    """

    name = "top-k-intersection"
    within = RANGES["top-k"]
    reference = "Ghorbani et al. 2019"

    def __init__(self, *, reference: str | None = None, k: int | float = 0.1) -> None:
        super().__init__(reference=reference)
        self.k = k

    def settings(self) -> dict[str, Any]:
        """What is compared with, and k."""
        return {**super().settings(), "k": self.k}

    def likeness(self, maps: Tensor, other: Tensor, /) -> Tensor:
        """0 … 1."""
        return top_k_intersection(maps, other, self.k)
