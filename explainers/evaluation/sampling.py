"""At which steps a curve is looked at, and the area under it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from explainers.errors import OptionError

TOLERANCE = 0.002
INTERVALS, GRADING = 12, 1.5  # of the first round: dense where most curves fall or rise
SLOPE = 0.1  # weight of the rise beside the change of slope
GAIN = 3.0  # by how much halving an interval is taken to lower its error: 4 for a bend, 2 for a kink


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
    """Steps where the curve bends, until the area is known to about `tolerance`.

    The error of an interval of width w is taken as |Δ slope|·w²/8 + 0.1·|Δ f|·w/2: an estimate, not a bound, since
    curves need not be monotone.
    """

    tolerance: float = TOLERANCE

    def __post_init__(self) -> None:
        if not 0 < self.tolerance < 1:
            raise OptionError(f"tolerance={self.tolerance!r}; expected an error of the area between 0 and 1")

    def first(self, steps: int) -> list[int]:
        """A graded grid."""
        shares = (np.arange(INTERVALS + 1) / INTERVALS) ** GRADING
        return np.unique(np.round(shares * steps).astype(int)).tolist()

    def more(self, positions: np.ndarray, values: np.ndarray) -> list[int]:
        """Steps to look at next, none where the area is known well enough.

        Only this curve decides, so that its value does not depend on what else is measured.
        """
        errors = interval_errors(positions, values)
        errors[np.diff(positions) < 2] = 0.0
        total, chosen = float(errors.sum()), []
        for interval in np.argsort(-errors, kind="stable"):
            if total <= self.tolerance or errors[interval] == 0:
                break
            total -= errors[interval] * (1 - 1 / GAIN)
            chosen.append(int(positions[interval] + positions[interval + 1]) // 2)
        return chosen

    def settings(self) -> dict[str, float]:
        """For tables."""
        return {"tolerance": self.tolerance}


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


def sampling_of(steps: int | None, tolerance: float) -> Grid | Adaptive:
    """`steps` equal ones, or as many as `tolerance` needs."""
    return Adaptive(tolerance) if steps is None else Grid(steps)


def area(shares: np.ndarray, values: np.ndarray) -> float:
    """Area under a curve by the trapezoid rule; shares: 0 … 1, ascending."""
    return float(np.sum(np.diff(shares) * (values[1:] + values[:-1]) / 2))


def interval_errors(positions: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The error of the area that each interval between two positions is taken to have."""
    width = np.diff(positions) / max(int(positions[-1]), 1)
    rise = np.diff(values)
    slope = rise / width
    if len(slope) < 2:
        return SLOPE * np.abs(rise) * width / 2
    inner = np.abs(np.diff(slope))
    # The change of slope at an interval's two ends; at the ends of the curve there is one.
    bend = np.concatenate([[inner[0]], (inner[1:] + inner[:-1]) / 2, [inner[-1]]])
    return bend * width**2 / 8 + SLOPE * np.abs(rise) * width / 2
