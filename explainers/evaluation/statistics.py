"""Whether one method is better than another over images: paired sign-flip tests."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np

FLIPS = 20_000  # half as many where a value is no mean, which takes longer
ROUNDING = 1e-9  # sums in another order round otherwise; what is equal must count as equal
BLOCK = 1000

Combine = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (sums (R, …) of parts, counts (R,)) → values (R,)


def mean_of(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The mean: how most metrics become a data set's value."""
    return sums / counts


def value_of(parts: np.ndarray, combine: Combine = mean_of) -> float:
    """The value of a data set from the parts (N, …) of its images; NaN for no images."""
    if not len(parts):
        return float("nan")
    return float(combine(parts.sum(axis=0)[None], np.array([len(parts)]))[0])


def sign_flip_test(first: np.ndarray, second: np.ndarray, combine: Combine = mean_of, *, seed: int = 0) -> float:
    """p of the hypothesis that two methods are exchangeable on every image, two-sided, paired.

    All 2ᴺ exchanges are tried where they are few, otherwise random ones.

    Args:
        first, second: (N, …) parts of the same images.

    Returns:
        A probability; 1.0 for no images, and where the difference is not defined (NaN).

    Source: Fisher 1935; the p of random exchanges counts the one observed (Phipson and Smyth 2010).
    """
    count = len(first)
    if count == 0:
        return 1.0
    if combine is mean_of and first.ndim == 1:
        return float(mean_tests((first - second)[:, None], seed)[0])
    middle = ((first + second) / 2).sum(axis=0)[None]
    half = ((first - second) / 2).reshape(count, -1)

    def statistic(signs: np.ndarray) -> np.ndarray:
        moved = (signs @ half).reshape(len(signs), *first.shape[1:])
        sizes = np.full(len(signs), count)
        return np.abs(combine(middle + moved, sizes) - combine(middle - moved, sizes))

    observed = float(statistic(np.ones((1, count)))[0])
    bound = observed - ROUNDING * max(observed, float(np.abs(half).sum()) / count)
    return float(_p_values(lambda signs: ~(statistic(signs)[:, None] < bound), count, FLIPS // 2, seed)[0])


def mean_tests(differences: np.ndarray, seed: int) -> np.ndarray:
    """p of each column of paired differences (N, P), as `sign_flip_test` has it, all by the same exchanges."""
    count = len(differences)
    observed = np.abs(differences.sum(axis=0))
    bound = observed - ROUNDING * np.maximum(observed, np.abs(differences).sum(axis=0))
    return _p_values(lambda signs: ~(np.abs(signs @ differences) < bound), count, FLIPS, seed)


def _p_values(extreme: Callable[[np.ndarray], np.ndarray], count: int, flips: int, seed: int) -> np.ndarray:
    """Share of exchanges whose statistics (R, P) are as extreme as those observed.

    Args:
        extreme: from signs (R, N) to whether that is so; also where a statistic is not defined, which speaks against
            no hypothesis.
    """
    exact = count < 63 and 2**count <= flips
    rng = np.random.default_rng(seed)
    total = 2**count if exact else flips
    found: Any = 0
    for begin in range(0, total, BLOCK):
        size = min(BLOCK, total - begin)
        if exact:
            bits = (np.arange(begin, begin + size)[:, None] >> np.arange(count)) & 1
        else:
            bits = rng.integers(0, 2, size=(size, count), dtype=np.int8)
        found = found + extreme(1.0 - 2.0 * bits).sum(axis=0)
    result: np.ndarray = found / total if exact else (found + 1) / (total + 1)
    return result


def images_needed(tests: int, *, level: float = 0.05, flips: int = FLIPS) -> int | None:
    """How many images it takes for the smallest corrected p of so many tests to fall below a level.

    Both of two exchanges that differ in every sign are as extreme as each other, so that no p of N images is below
    2 / 2ᴺ; where exchanges are drawn, none is below 1 / (flips + 1). None: no number of images is enough.
    """
    count = 1
    while 2**count <= flips:
        if tests * 2 / 2**count < level:
            return count
        count += 1
    return count if tests / (flips + 1) < level else None


def holm(p: np.ndarray) -> np.ndarray:
    """p-values (n,) corrected for their number, each at most 1.

    Source: Holm 1979.
    """
    order = np.argsort(p, kind="stable")
    scaled = p[order] * np.arange(len(p), 0, -1)
    corrected = np.empty_like(scaled)
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return corrected


def pairwise(
    parts: dict[str, dict[str, np.ndarray]], combine: Combine = mean_of, *, seed: int = 0
) -> dict[tuple[str, str], float]:
    """Holm-corrected p of each pair of methods, over the images that both have.

    Args:
        parts: for each method, the parts of each image by its name.
    """
    pairs = list(combinations(parts, 2))
    if not pairs:
        return {}
    found = np.ones(len(pairs))
    together: dict[tuple[str, ...], list[int]] = {}  # pairs that share their images are tested by the same exchanges
    for number, (first, second) in enumerate(pairs):
        together.setdefault(tuple(name for name in parts[first] if name in parts[second]), []).append(number)
    for names, numbers in together.items():
        if not names:
            continue
        stacked = {each: np.stack([parts[each][name] for name in names]) for n in numbers for each in pairs[n]}
        if combine is mean_of and all(values.ndim == 1 for values in stacked.values()):
            columns = [stacked[pairs[n][0]] - stacked[pairs[n][1]] for n in numbers]
            found[numbers] = mean_tests(np.stack(columns, axis=1), seed)
        else:
            for n in numbers:
                found[n] = sign_flip_test(stacked[pairs[n][0]], stacked[pairs[n][1]], combine, seed=seed)
    return dict(zip(pairs, holm(found).tolist(), strict=True))
