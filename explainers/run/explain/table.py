"""results.csv: one row per image, method and target."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from explainers.storage.atomic import write_bytes
from explainers.storage.csv_text import csv_text
from explainers.storage.journal import Row

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


def write_table(path: Path, rows: Iterable[Row]) -> None:
    """results.csv: one row per image, method and target."""
    write_bytes(path, csv_text(COLUMNS, rows).encode("utf-8", "backslashreplace"))
