"""Metrics that take few passes, and the tables of an evaluation's folder."""

from __future__ import annotations

import csv
from pathlib import Path

from explainers import create_metric


def quick(*names):
    return [create_metric(name, steps=4) for name in names]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
