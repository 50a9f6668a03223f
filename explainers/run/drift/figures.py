"""Charts of a comparison: likeness, what networks say, and how their training went."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from explainers.evaluation.drifting.result import Drift
from explainers.evaluation.drifting.table_lines import EVERY_IMAGE, METHOD_SEED, NETWORK_SEED, RANDOM_MAPS
from explainers.evaluation.intervals import interval_of
from explainers.render.charts import Trace, line_panels
from explainers.run.figure_files import written_figure

SAID = {"entropy": "entropy of the output (nats)", "probability": "probability of the true class"}
RANGES = {"entropy": (0.0, math.inf), "probability": (0.0, 1.0), "error": (0.0, 1.0), "loss": (0.0, math.inf)}
TRAINING = {"error": "error", "loss": "loss", "weight_norm": "norm of the last layer's weights"}
CHANCE = {METHOD_SEED: "another seed of the method", NETWORK_SEED: "another training seed", RANDOM_MAPS: "random maps"}
MOST_GROUPS = 8  # that a chart can show


def write_charts(out: Path, found: Drift, format: str = "png") -> list[str]:
    """figure-similarity-NAME for each similarity, figure-scores, figure-training; returns the names of the files.

    Args:
        format: "png", "svg" or "pdf".
    """
    made = [
        written_figure(out / f"figure-similarity-{each}.{format}", similarity_chart(found, each))
        for each in found.similarities
    ]
    for name, figure in (("scores", scores_chart(found)), ("training", training_chart(found))):
        if figure is not None:
            made.append(written_figure(out / f"figure-{name}.{format}", figure))
    return made


def similarity_chart(found: Drift, similarity: str) -> Any:
    """Likeness over networks, a panel for each method and a line for each group; gray: what chance makes."""
    cells = found.summary().cells
    panels = {}
    for method in found.methods:
        traces = []
        for group in groups_of(found):
            means = [cells[name, method, group, similarity] for name in found.checkpoints]
            ends = [mean.interval or (np.nan, np.nan) for mean in means]
            values = np.array([mean.value for mean in means])
            traces.append(Trace(group, values, *np.array(ends).T))
        for kind, label in CHANCE.items():
            levels = [cells[name, method, EVERY_IMAGE, similarity].value for name in found.of_kind(kind)]
            if levels and not np.isnan(levels).all():
                traces.append(Trace(label, np.array([np.nanmean(levels)]), background=True))
        panels[method] = traces
    title = f"{similarity} of maps with those of {found.reference}"
    return line_panels(panels, places_of(found), title=title, axis="epoch", within=(-1, 1))


def scores_chart(found: Drift) -> Any:
    """Entropy and probability of the true class over networks, a line for each group; None where neither is known."""
    panels = {}
    for key, title in SAID.items():
        traces = []
        for group in groups_of(found):
            rows = slice(None) if group == EVERY_IMAGE else found.groups[group]
            values = [found.said[name][key][rows] for name in found.checkpoints]
            traces.append(_trace(group, values, found.seed, RANGES[key]))
        if not all(np.isnan(trace.values).all() for trace in traces):
            panels[title] = traces
    return line_panels(panels, places_of(found), axis="epoch") if panels else None


def training_chart(found: Drift) -> Any:
    """Error, loss and the norm of the last layer's weights over networks; None where nothing is known."""
    panels = {}
    networks = {row["checkpoint"]: row for row in found.networks()}
    for key, title in TRAINING.items():
        if key == "weight_norm":
            norms = [networks[name]["weight_norm"] for name in found.checkpoints]
            trace = Trace(title, np.array([np.nan if each is None else each for each in norms], float))
        else:
            trace = _trace(title, [_of_images(found, name, key) for name in found.checkpoints], found.seed, RANGES[key])
        if not np.isnan(trace.values).all():
            panels[title] = [Trace("value", trace.values, trace.low, trace.high)]
    return line_panels(panels, places_of(found), axis="epoch") if panels else None


def groups_of(found: Drift) -> list[str]:
    """All images, and the groups as far as a chart can show them."""
    return [EVERY_IMAGE, *list(found.groups)[:MOST_GROUPS]]


def places_of(found: Drift) -> list[Any]:
    """Where networks stand on an axis: their epochs, or their names."""
    epochs = [found.compared[name].epoch for name in found.checkpoints]
    return list(found.checkpoints) if any(epoch is None for epoch in epochs) else epochs


def _of_images(found: Drift, name: str, key: str) -> np.ndarray:
    if key == "loss":
        return found.said[name]["loss"]
    predicted = found.said[name]["predicted"]
    if found.labels is None:
        return np.full(len(predicted), np.nan)
    return np.where(np.isnan(predicted), np.nan, predicted != found.labels)


def _trace(label: str, values: list[np.ndarray], seed: int, within: tuple[float, float]) -> Trace:
    """Means with intervals over images, NaN aside."""
    known = [each[~np.isnan(each)] for each in values]
    ends = [interval_of(each, within=within, seed=seed) or (np.nan, np.nan) for each in known]
    means = np.array([each.mean() if len(each) else np.nan for each in known])
    return Trace(label, means, *np.array(ends, float).T)
