"""The rows that an evaluation consists of: one for each image, explainer and score, its columns in this order."""

from __future__ import annotations

from typing import Any

import numpy as np

from explainers.core.maps import CONSTANT
from explainers.evaluation.measuring.chunk import Chunk
from explainers.evaluation.measuring.subject import Measured
from explainers.evaluation.metric import Metric

NOTHING = "nothing"
UNMATCHED = "no true box is that of this detection"  # the reason of a row without a value by metrics of true boxes
Row = dict[str, Any]


def file_of(row: Row) -> str:
    """The image that a row is of, also where it is of one detection in it."""
    return str(row.get("file", row["image"]))


def measured_row(
    chunk: Chunk, row: int, explainer: str, title: str, metric: Metric, result: Measured, seconds: float
) -> Row:
    """What a metric, known by its title, says of an explainer's map of one image of a chunk."""
    return {
        "image": chunk.names[row],
        "explainer": explainer,
        "metric": metric.name,
        "score": "@".join([title, *map(str, result.settings.values())]),
        "value": None if np.isnan(result.value) else float(result.value),
        "target": chunk.target(row),
        **_seen(chunk, row),
        **_classes(chunk, row),
        "activation": str(chunk.reading),
        "seconds": seconds,
        **metric.settings(),
        **result.settings,
        **result.details,
        "status": "ok",
        "reason": "not defined for this map" if np.isnan(result.value) else "",
        "curve": result.curve,
        "parts": result.parts,
    }


def _classes(chunk: Chunk, row: int) -> Row:
    """The class that the network predicts, where it has several, and the true one, where it is known."""
    found = {} if chunk.predicted is None else {"predicted": int(chunk.predicted[row])}
    return {**found, "true": int(chunk.expected[row])} if chunk.labelled else found


def _seen(chunk: Chunk, row: int) -> Row:
    """f(x) of the image, under a name that says what it is."""
    value, quantity = float(chunk.probability[row]), chunk.quantity(row)
    if chunk.watched is None or quantity == "probability":
        return {"probability": value, "quantity": quantity}
    return {"probability": None, "f(x)": value, "quantity": quantity}


def constant_row(image: str, explainer: str, why: str) -> Row:
    """A map that is the same everywhere: a score would tell of the order of its pixels, not of the map."""
    return {**failed_row(image, explainer, why), "status": CONSTANT}


def nothing_row(image: str, explainer: str, reason: str) -> Row:
    """There is nothing to explain in an image, which is no failure."""
    return {**failed_row(image, explainer, reason), "status": NOTHING}


def failed_row(image: str, explainer: str, reason: str) -> Row:
    """Why an explainer has no map of an image, or none that can be judged; it is of no score, and has no value."""
    return {
        "image": image,
        "explainer": explainer,
        "metric": "",
        "score": "",
        "value": None,
        "target": None,
        "probability": None,
        "seconds": None,
        "status": "failed",
        "reason": reason,
        "curve": None,
        "parts": None,
    }
