"""Explainers by one score: values with intervals, and which differences are more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from explainers.evaluation.controls import CONTROLS
from explainers.evaluation.metric import Metric
from explainers.evaluation.rows import Row
from explainers.evaluation.statistics import bootstrap_interval, mean_of, pairwise, value_of

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Cell:
    """One explainer's value of one score.

    interval: None for fewer than two images; images: how many have a value; best: nothing is better by the test;
    chance: not better than every control by the test (always False for controls).
    """

    value: float
    interval: tuple[float, float] | None
    images: int
    best: bool
    chance: bool


@dataclass(frozen=True)
class Test:
    """A paired comparison: the values' difference (first less second) and its corrected p."""

    score: str
    first: str
    second: str
    difference: float
    p: float


def parts_of(rows: Sequence[Row], names: Sequence[str]) -> dict[str, dict[str, np.ndarray]]:
    """What values over a data set are computed from: explainer → image → a value or more, where there is one."""
    found: dict[str, dict[str, np.ndarray]] = {name: {} for name in names}
    for row in rows:
        parts = row.get("parts")
        if parts is not None:
            found[row["explainer"]][row["image"]] = np.asarray(parts, np.float64)
        elif row["value"] is not None:
            found[row["explainer"]][row["image"]] = np.array(row["value"], np.float64)
    return {name: images for name, images in found.items() if images}


def compared(
    score: str, found: dict[str, dict[str, Any]], metric: Metric, seed: int
) -> tuple[dict[tuple[str, str], Cell], list[Test]]:
    """Cells by (explainer, score), and tests of every pair, of one score.

    Args:
        found: see `parts_of`; metric: the score's; seed: of the bootstrap and the exchanges.
    """
    whole = any(np.ndim(next(iter(images.values()))) for images in found.values())
    combine = metric.combined if whole else mean_of
    values = {name: value_of(np.stack(list(images.values())), combine) for name, images in found.items()}
    tested = {name: {image: metric.coarser(each) for image, each in images.items()} for name, images in found.items()}
    p = pairwise(tested if whole else found, combine, seed=seed)
    sign = {"higher": 1.0, "lower": -1.0}.get(metric.better, 0.0)

    def beats(first: str, second: str) -> bool:
        corrected = p[first, second] if (first, second) in p else p[second, first]
        return corrected < SIGNIFICANT and sign * (values[first] - values[second]) > 0

    own = [name for name in found if name not in CONTROLS]
    rivals = [name for name in found if name in CONTROLS]
    cells = {}
    for name, images in found.items():
        cells[name, score] = Cell(
            values[name],
            bootstrap_interval(np.stack(list(images.values())), combine, seed=seed),
            len(images),
            bool(sign)
            and name in own
            and len(own) > 1
            and not any(beats(other, name) for other in own if other != name),
            bool(sign) and name in own and not all(beats(name, control) for control in rivals),
        )
    tests = [Test(score, *pair, values[pair[0]] - values[pair[1]], each) for pair, each in p.items()]
    return cells, tests
