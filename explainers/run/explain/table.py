"""results.csv: one row per image, method and target."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from explainers.storage.atomic import write_bytes
from explainers.storage.journal import Row

COLUMNS = (
    "file",
    "predicted",
    "predicted_name",
    "probability",
    "target",
    "target_name",
    "target_probability",
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
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(row)
    write_bytes(path, buffer.getvalue().encode("utf-8", "backslashreplace"))
