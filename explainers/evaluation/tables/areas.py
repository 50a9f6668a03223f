"""How well the areas under adaptive curves are known, over images, and what is left open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from explainers.evaluation.intervals import largest_mean
from explainers.evaluation.rows import Row


@dataclass(frozen=True)
class Areas:
    """One explainer's areas of one score.

    error: standard error of one area (root of the mean square), as its curve wanders between steps; gap: the widest of
    all curves; probes: random steps of all curves; probed_error: by how much those say the mean was off before them,
    without bias; unseen: the share of the mean area that they leave possible to be off for want of looks (95 %, of each
    curve where a value is a difference of two), None where f is not within 0 … 1.
    """

    error: float
    gap: float
    probes: int
    probed_error: float
    unseen: float | None

    def columns(self) -> dict[str, Any]:
        """For rows of a summary."""
        return {"area_error": self.error, "probed_error": self.probed_error, "unseen_at_most": self.unseen}


NOTHING = dict.fromkeys(("area_error", "probed_error", "unseen_at_most"))


def areas_of(rows: Sequence[Row]) -> dict[tuple[str, str], Areas]:
    """By (explainer, score), of those rows whose curves were looked at adaptively."""
    grouped: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.get("area_error") is not None:
            grouped.setdefault((row["explainer"], row["score"]), []).append(row)
    return {key: _areas(each) for key, each in grouped.items()}


def _areas(rows: Sequence[Row]) -> Areas:
    probes = sum(row["probes"] for row in rows)
    sizes = [(row["probed_size"], row["probes"]) for row in rows if row.get("probed_size") is not None]
    unseen = None
    if sum(count for _, count in sizes) == probes > 0:
        unseen = largest_mean(sum(size * count for size, count in sizes), probes)
    elif probes == 0:
        unseen = 0.0  # every step of every curve was looked at
    return Areas(
        float(np.sqrt(np.mean([row["area_error"] ** 2 for row in rows]))),
        max(row["widest_gap"] for row in rows),
        probes,
        float(np.mean([row.get("probed_error") or 0.0 for row in rows])),
        unseen,
    )


def about_areas(areas: Mapping[tuple[str, str], Areas]) -> str:
    """A line for the foot of a table: what holds for every cell; empty where there are no adaptive curves."""
    if not areas:
        return ""
    scores = ", ".join(dict.fromkeys(score for _, score in areas))
    off = max(areas, key=lambda key: abs(areas[key].probed_error))
    error = max(each.error for each in areas.values())
    text = (
        f"areas by adaptive steps ({scores}): standard error of one at most {error:.2g}; random steps between the "
        f"others moved a mean by at most {abs(areas[off].probed_error):.2g} ({', '.join(off)})"
    )
    known = {key: each.unseen for key, each in areas.items() if each.unseen is not None}
    if known:
        open_ = max(known, key=lambda key: known[key])
        text += (
            f" and leave at most {known[open_]:.2g} of a mean area unseen (95 %, {', '.join(open_)}: "
            f"{areas[open_].probes} of them)"
        )
    gap = max(each.gap for each in areas.values())
    return text + f"; in a single curve a feature narrower than {gap:.2g} of the way may hide (widest_gap)"
