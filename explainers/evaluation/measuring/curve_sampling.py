"""At which steps a curve is looked at, and the area under it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from explainers.errors import OptionError

TOLERANCE = 0.002
GAP = 0.1
PROBES = 2  # more tell more of one curve, but what a table needs to know its many curves tell together
INTERVALS, GRADING = 8, 1.7  # of the first round: denser where most curves fall or rise
# Of all intervals are halved in one round: few, since what they tell often makes the others needless.
AT_ONCE = 1 / 3


@dataclass(frozen=True)
class Grid:
    """A fixed number of equal steps, both ends included; what reproduces published numbers.

    count: how many steps (as many as there are pixels, where there are fewer).
    """

    count: int

    def __post_init__(self) -> None:
        if isinstance(self.count, bool) or not isinstance(self.count, int) or self.count < 1:
            raise OptionError(f"steps={self.count!r}; expected a number of steps of at least 1, or None (adaptive)")

    def first(self, steps: int) -> list[int]:
        """The steps to look at, of 0 … steps."""
        return np.unique(np.round(np.linspace(0, steps, min(self.count, steps) + 1)).astype(int)).tolist()

    def more(self, positions: np.ndarray, values: np.ndarray) -> list[int]:
        """Nothing."""
        return []

    def settings(self) -> dict[str, float]:
        """For tables."""
        return {"steps": self.count}


@dataclass(frozen=True)
class Adaptive:
    """Steps where the curve moves, until the standard error of its area is about `tolerance`.

    Between two steps a curve is taken to wander like Brownian motion, as fast as it does in the interval and its
    neighbours: the trapezoid of width w then has a variance of v·w³/12, v = Σ Δf² / Σ w. An estimate, not a bound, and
    twice too large for smooth curves (benchmarks/evaluation.md). It knows nothing of what no step has met; hence the
    bound on how far apart steps may lie, and the probe.

    gap: share of the way; neighbouring steps are never farther apart, so that whatever is as wide is met; probes: how
    many random steps are looked at when the others are done. They join them, and the curve is followed on from there.
    """

    tolerance: float = TOLERANCE
    gap: float = GAP
    probes: int = PROBES

    def __post_init__(self) -> None:
        if not 0 < self.tolerance < 1:
            raise OptionError(f"tolerance={self.tolerance!r}; expected an error of the area between 0 and 1")
        if not 0 < self.gap <= 1:
            raise OptionError(f"gap={self.gap!r}; expected a share of the way, above 0 and at most 1")

    def first(self, steps: int) -> list[int]:
        """A graded grid, with further steps where it leaves more than `gap`."""
        shares = (np.arange(INTERVALS + 1) / INTERVALS) ** GRADING
        graded = np.unique(np.round(shares * steps).astype(int))
        widest = max(int(self.gap * steps), 1)
        found = [0]
        for begin, end in pairwise(graded.tolist()):
            parts = -(-(end - begin) // widest)
            found += [begin + (end - begin) * part // parts for part in range(1, parts + 1)]
        return found

    def more(self, positions: np.ndarray, values: np.ndarray) -> list[int]:
        """Steps to look at next, none where the area is known well enough.

        Only this curve decides, so that its value does not depend on what else is measured.
        """
        variances = unseen_variances(positions, values)
        total, chosen = float(variances.sum()), []
        for interval in np.argsort(-variances, kind="stable")[: max(1, round(AT_ONCE * len(variances)))]:
            if total <= self.tolerance**2 or variances[interval] == 0:
                break
            total -= 3 / 4 * variances[interval]  # what halving it takes away
            chosen.append(int(positions[interval] + positions[interval + 1]) // 2)
        return chosen

    def settings(self) -> dict[str, float]:
        """For tables."""
        return {"tolerance": self.tolerance, "gap": self.gap}


@dataclass(frozen=True)
class Fixed:
    """Given shares of the way, 0 … 1."""

    shares: tuple[float, ...]

    def first(self, steps: int) -> list[int]:
        """The steps next to these shares."""
        return sorted({round(share * steps) for share in self.shares})

    def more(self, positions: np.ndarray, values: np.ndarray) -> list[int]:
        """Nothing."""
        return []


Sampling = Grid | Adaptive | Fixed


def sampling_of(steps: int | None, tolerance: float, gap: float = GAP) -> Grid | Adaptive:
    """`steps` equal ones, or as many as `tolerance` and `gap` need."""
    return Adaptive(tolerance, gap) if steps is None else Grid(steps)


def area(shares: np.ndarray, values: np.ndarray) -> float:
    """Area under a curve by the trapezoid rule; shares: 0 … 1, ascending."""
    return float(np.sum(np.diff(shares) * (values[1:] + values[:-1]) / 2))


def interval_variances(positions: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The variance that the area of each interval between two positions is taken to have; see `Adaptive`."""
    width = np.diff(positions) / max(int(positions[-1]), 1)
    moved = np.diff(values) ** 2

    def around(each: np.ndarray) -> np.ndarray:
        padded = np.pad(each, 1)
        return padded[:-2] + padded[1:-1] + padded[2:]

    found: np.ndarray = around(moved) / around(width) * width**3 / 12
    return found


def unseen_variances(positions: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The same, but 0 where there is no step between two positions, whose trapezoid is the area itself."""
    found = interval_variances(positions, values)
    found[np.diff(positions) < 2] = 0.0
    return found
