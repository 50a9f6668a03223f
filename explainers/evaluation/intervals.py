"""How sure a value over images is: 95 % intervals, whose coverage docs/metrics.md has."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from explainers.evaluation.statistics import BLOCK, ROUNDING, Combine, mean_of, value_of

RESAMPLES = 2000
LEVEL = 0.95
FEW = 20  # images below which intervals of skewed scores are simulated to hold less than nine times of ten
LEAST_VARIANCE = 0.1  # of a resample, as a share of the sample's: one that repeats an image has none to divide by
HALVINGS = 60


def interval_of(
    parts: np.ndarray,
    combine: Combine = mean_of,
    *,
    share: bool = False,
    within: tuple[float, float] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float] | None:
    """95 % interval of a data set's value, over images; None for fewer than two.

    Shares (every value is 0 or 1): Clopper and Pearson. Other means: bootstrap-t, which is wide where there are few
    images and follows their skew; it is cut at the ends of the score's range, beyond which no true mean lies, so that
    it holds the true one as often as before. Values that are no means: BCa, which stays among values that there can be;
    shares at a threshold that these images have chosen (no means, and `share`): BCa and the exact interval of a share
    together, since resamples of hits alone, and of few images at their best threshold, vary too little.
    Values that are all equal have no spread to estimate: both ends are that value.

    Args:
        parts: (N, …), a value or more of each image.
        share: whether a value says yes or no, so that nothing but ones are hits, which may miss yet, or whether
            `combine` gives a share of images. A similarity that
            is 1 for every image has hit nothing. Where both 0 and 1 occur, and no more, it goes without saying.
        within: the range of a value, where it has one; a value beyond it, as by rounding, widens it.

    Source: Clopper and Pearson 1934; Efron 1979 and 1987; Hall 1988.
    """
    if len(parts) < 2:
        return None
    if combine is mean_of and parts.ndim == 1:
        if np.isin(parts, (0.0, 1.0)).all() and (share or parts.min() < parts.max()):
            return share_interval(int(parts.sum()), len(parts))
        low, high = _bootstrap_t(parts, resamples, seed)
        if within is None:
            return low, high
        return max(low, min(within[0], float(parts.min()))), min(high, max(within[1], float(parts.max())))
    low, high = _bca(parts, combine, resamples, seed)
    if not share or math.isnan(low):
        return low, high
    hits = value_of(parts, combine) * len(parts)  # a mean of several shares is no whole number of hits
    nearest = round(hits)
    fewer, more = (nearest, nearest) if abs(hits - nearest) < ROUNDING else (math.floor(hits), math.ceil(hits))
    return min(low, share_interval(fewer, len(parts))[0]), max(high, share_interval(more, len(parts))[1])


def share_interval(hits: int, count: int) -> tuple[float, float]:
    """The exact interval of a share: the shares that make as few, and as many, hits as these no rarer than 2.5 %."""
    tail = (1 - LEVEL) / 2
    low = 0.0 if hits == 0 else _bisected(lambda share: _at_least(hits, count, share) < tail)
    high = 1.0 if hits == count else _bisected(lambda share: 1 - _at_least(hits + 1, count, share) > tail)
    return low, high


def largest_mean(total: float, count: int) -> float:
    """The largest mean of independent values in 0 … 1 that `count` of them with this sum leave likely, at 95 %.

    No more is assumed of them. Where all are 0 it is 1 − 0.05^(1/count), about 3 / count.

    Source: Hoeffding 1963, theorem 1: count · KL(mean ‖ limit) ≤ log 20.
    """
    mean, bound = total / count, math.log(1 / (1 - LEVEL)) / count
    if mean >= 1:
        return 1.0

    def divergence(limit: float) -> float:
        known = mean * math.log(mean / limit) if mean > 0 else 0.0
        return known + (1 - mean) * math.log((1 - mean) / (1 - limit))

    return _bisected(lambda limit: limit <= mean or (limit < 1 and divergence(limit) < bound))


def _at_least(hits: int, count: int, share: float) -> float:
    """Probability of so many hits or more."""
    if not 0 < share < 1:
        return float(share >= 1 or hits == 0)
    k = np.arange(hits, count + 1)
    ways = [math.lgamma(count + 1) - math.lgamma(each + 1) - math.lgamma(count - each + 1) for each in k]
    return float(np.exp(np.array(ways) + k * math.log(share) + (count - k) * math.log1p(-share)).sum())


def _bisected(below: Callable[[float], bool]) -> float:
    """Where a condition that holds from 0 on ends."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return low


def _bootstrap_t(values: np.ndarray, resamples: int, seed: int) -> tuple[float, float]:
    count, mean = len(values), float(values.mean())
    if values.min() == values.max():
        return float(values[0]), float(values[0])
    moved = values - mean  # squares of large values would cancel
    unit = 2.0 ** (int(np.frexp(np.abs(moved).max())[1]) - 1)  # a power of two, so that nothing rounds otherwise
    moved = moved / unit  # squares of huge or tiny values would be infinite or 0
    variance = float((moved**2).sum()) / (count - 1)
    found = []
    for weights in _weights(count, resamples, seed):
        means = weights @ moved / count
        own = (weights @ moved**2 / count - means**2) * count / (count - 1)
        found.append(means / np.sqrt(np.maximum(own, LEAST_VARIANCE * variance)))
    low, high = np.quantile(np.concatenate(found), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    spread = math.sqrt(variance) * unit
    return mean - float(high) * spread, mean - float(low) * spread


def _bca(parts: np.ndarray, combine: Combine, resamples: int, seed: int) -> tuple[float, float]:
    count = len(parts)
    flat = parts.reshape(count, -1)

    def value(sums: np.ndarray, images: int) -> np.ndarray:
        return combine(sums.reshape(len(sums), *parts.shape[1:]), np.full(len(sums), images))

    whole = float(value(flat.sum(axis=0)[None], count)[0])
    found = np.concatenate([value(weights @ flat, count) for weights in _weights(count, resamples, seed)])
    found = found[~np.isnan(found)]  # of resamples that lack what the value is made of
    if not len(found):
        return math.nan, math.nan
    normal = NormalDist()
    below = ((found < whole).sum() + (found == whole).sum() / 2) / len(found)
    bias = normal.inv_cdf(float(np.clip(below, 1 / (len(found) + 1), 1 - 1 / (len(found) + 1))))
    without = value(flat.sum(axis=0) - flat, count - 1)
    influence = np.nanmean(without) - without[~np.isnan(without)] if not np.isnan(without).all() else np.zeros(1)
    scale = 6 * float((influence**2).sum()) ** 1.5
    skew = float((influence**3).sum()) / scale if scale > 0 else 0.0
    ends = []
    for level in ((1 - LEVEL) / 2, (1 + LEVEL) / 2):
        place = bias + normal.inv_cdf(level)
        ends.append(normal.cdf(bias + place / (1 - skew * place)))
    low, high = np.quantile(found, ends)
    return float(low), float(high)


def _weights(count: int, resamples: int, seed: int) -> list[np.ndarray]:
    """How often each image is in each resample, (R, N) in blocks."""
    rng = np.random.default_rng(seed)
    sizes = [min(BLOCK, resamples - first) for first in range(0, resamples, BLOCK)]
    return [rng.multinomial(count, np.full(count, 1 / count), size=size).astype(np.float64) for size in sizes]
