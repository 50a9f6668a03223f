"""Explainers by one score: values with intervals, and which differences are more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from explainers.evaluation.controls import is_control
from explainers.evaluation.intervals import interval_of
from explainers.evaluation.metric import Metric
from explainers.evaluation.rows import Row, file_of
from explainers.evaluation.statistics import Combine, mean_of, pairwise, value_of

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Cell:
    """One explainer's value of one score.

    interval: None for fewer than two images; images: how many have a value; best: no other explainer, controls aside,
    is better by the test (always False where there is no other); chance: not better than every control by the test
    (always False for controls).
    """

    value: float
    interval: tuple[float, float] | None
    images: int
    best: bool
    chance: bool


@dataclass(frozen=True)
class Test:
    """A paired comparison: first less second over the images of both, and the corrected p."""

    score: str
    first: str
    second: str
    difference: float
    p: float


def parts_of(rows: Sequence[Row], names: Sequence[str]) -> dict[str, dict[str, np.ndarray]]:
    """What values over a data set are computed from: explainer → image → a value or more, where there is one.

    Several detections of one file are one image, whose values are their mean: they are not independent of each other.
    """
    found: dict[str, dict[str, list[np.ndarray]]] = {name: {} for name in names}
    for row in rows:
        given = row["value"] if row.get("parts") is None else row["parts"]
        if given is not None:
            found[row["explainer"]].setdefault(file_of(row), []).append(np.asarray(given, np.float64))
    return {
        name: {image: each[0] if len(each) == 1 else np.mean(each, axis=0) for image, each in images.items()}
        for name, images in found.items()
        if images
    }


def compared(
    score: str, found: dict[str, dict[str, Any]], metric: Metric, seed: int, probability: bool = False
) -> tuple[dict[tuple[str, str], Cell], list[Test]]:
    """Cells by (explainer, score), and tests of every pair, of one score.

    Args:
        found: see `parts_of`; metric: the score's; seed: of the bootstrap and the exchanges; probability: whether f(x)
            of every image is one.
    """
    whole = any(np.ndim(next(iter(images.values()))) for images in found.values())
    combine = metric.combined if whole else mean_of
    within = metric.within or (metric.within_probability if probability else None)
    values = {name: value_of(np.stack(list(images.values())), combine) for name, images in found.items()}
    tested = {name: {image: metric.coarser(each) for image, each in images.items()} for name, images in found.items()}
    p = pairwise(tested if whole else found, combine, seed=seed)
    apart = {pair: _difference(found[pair[0]], found[pair[1]], combine) for pair in p}
    sign = {"higher": 1.0, "lower": -1.0}.get(metric.better, 0.0)

    def beats(first: str, second: str) -> bool:
        pair, turned = ((first, second), 1.0) if (first, second) in p else ((second, first), -1.0)
        return p[pair] < SIGNIFICANT and sign * turned * apart[pair] > 0

    own = [name for name in found if not is_control(name)]
    rivals = [name for name in found if is_control(name)]
    cells = {}
    for name, images in found.items():
        cells[name, score] = Cell(
            values[name],
            interval_of(np.stack(list(images.values())), combine, share=metric.share, within=within, seed=seed),
            len(images),
            bool(sign)
            and name in own
            and len(own) > 1
            and not any(beats(other, name) for other in own if other != name),
            bool(sign) and name in own and not all(beats(name, control) for control in rivals),
        )
    tests = [Test(score, *pair, apart[pair], each) for pair, each in p.items()]
    return cells, tests


def _difference(first: dict[str, Any], second: dict[str, Any], combine: Combine) -> float:
    """First less second over the images that both have, which the test is of too; NaN where there are none."""
    names = [name for name in first if name in second]
    if not names:
        return float("nan")
    one, two = (value_of(np.stack([each[name] for name in names]), combine) for each in (first, second))
    return one - two
