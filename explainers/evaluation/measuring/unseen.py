"""What lies between the steps at which a curve was looked at: random looks at it, and how far the area may be off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


def random_steps(positions: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Steps that were not looked at, one drawn from each of `count` equal parts of them; (count,), ascending.

    Every one of U such steps is drawn `count` / U times on average. Where they are few a step may come twice; where
    there are none, the answer is empty.
    """
    between = np.diff(positions) - 1
    total = int(between.sum())
    if total == 0:
        return np.empty(0, dtype=int)
    places = np.floor((np.arange(count) + rng.random(count)) / count * total).astype(int)
    before = np.cumsum(between) - between
    interval = np.searchsorted(np.cumsum(between), places, side="right")
    drawn: np.ndarray = positions[interval] + 1 + places - before[interval]
    return drawn


@dataclass(frozen=True)
class Probe:
    """Random steps of a curve, drawn when it would have been done, and what the line through the others says of them.

    steps: (count,); expected: (count,) by interpolation; share: of all steps, those that had not been looked at.
    """

    steps: np.ndarray
    expected: np.ndarray
    share: float

    def surprises(self, values: np.ndarray) -> np.ndarray:
        """(count,) what was seen there less what was expected, times the share of the way it stands for.

        Their mean is, on average over draws and whatever the curve, what the area lacked before them.
        """
        found: np.ndarray = (values - self.expected) * self.share
        return found


def probe_of(positions: np.ndarray, values: np.ndarray, count: int, seed: int) -> Probe:
    """Draw a probe of a curve that is known at some steps; positions: ascending, with both ends."""
    drawn = random_steps(positions, count, np.random.default_rng(seed))
    steps = max(int(positions[-1]), 1)
    return Probe(drawn, np.interp(drawn, positions, values), float((np.diff(positions) - 1).sum()) / steps)


@dataclass(frozen=True)
class Unseen:
    """How well the area under a curve is known.

    area_error: its standard error, if the curve wanders between steps as it does around them; widest_gap: the largest
    share of the way without a look: a single feature that was passed over is narrower, and its area less than that
    times its height; surprises: of the probe; bounded: whether f lies in 0 … 1, so that no surprise is beyond 1.
    """

    area_error: float
    widest_gap: float
    surprises: tuple[float, ...] = ()
    bounded: bool = True

    def columns(self) -> dict[str, Any]:
        """For rows; `probed_size` is the mean size of the surprises, which only bounded ones say something by."""
        found = {"area_error": self.area_error, "widest_gap": self.widest_gap, "probes": len(self.surprises)}
        if self.surprises:
            found["probed_error"] = float(np.mean(self.surprises))
            if self.bounded:
                found["probed_size"] = float(np.mean(np.abs(self.surprises)))
        return found


def difference_columns(first: Unseen | None, second: Unseen | None) -> dict[str, Any]:
    """Columns for a value that is the area under one curve less that under another; none where steps were given."""
    if first is None or second is None:
        return {}
    one, other = first.columns(), second.columns()
    found = {
        "area_error": float(np.hypot(first.area_error, second.area_error)),
        "widest_gap": max(first.widest_gap, second.widest_gap),
        "probes": one["probes"] + other["probes"],
    }
    if found["probes"]:
        found["probed_error"] = one.get("probed_error", 0.0) - other.get("probed_error", 0.0)
        if first.bounded and second.bounded:
            found["probed_size"] = float(np.mean(np.abs(first.surprises + second.surprises)))
    return found
