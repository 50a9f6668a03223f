"""results.csv: one row per image, method and target."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from explainers.storage.atomic import write_bytes
from explainers.storage.csv_text import csv_text
from explainers.storage.journal import Row

DETECTION = ("detection", "score", "x0", "y0", "x1", "y1")  # of runs that explain what a network finds
COLUMNS = (
    "file",
    "predicted",
    "predicted_name",
    "probability",
    "true",
    "true_name",
    "target",
    "target_name",
    "target_probability",
    "quantity",
    *DETECTION,
    "activation",
    "method",
    "layer",
    "seconds",
    "masks",
    "passes_per_second",
    "standard_error",
    "status",
    "reason",
    "overlay",
    "map",
)


def write_table(path: Path, rows: Iterable[Row], *, detection: bool = False) -> None:
    """results.csv: one row per image, method and target; detection: whether targets are boxes with a score."""
    columns = [column for column in COLUMNS if detection or column not in DETECTION]
    write_bytes(path, csv_text(columns, rows).encode("utf-8", "backslashreplace"))
