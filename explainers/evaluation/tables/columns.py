"""Tables of text: cells in columns for a terminal, or for a document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def laid_out(lines: Sequence[Sequence[str]], width: int) -> list[str]:
    """The table in as many blocks of columns as it takes to stay within a width; each begins with the first column.

    Args:
        lines: rows of cells, the heading first.
    """
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    blocks: list[list[int]] = [[]]
    for column in range(1, len(widths)):
        if blocks[-1] and widths[0] + sum(widths[each] + 2 for each in (*blocks[-1], column)) > width:
            blocks.append([])
        blocks[-1].append(column)
    text = []
    for block in blocks:
        for number, line in enumerate(lines):
            row = "  ".join(line[column].ljust(widths[column]) for column in (0, *block)).rstrip()
            text += [row, "-" * len(row)] if number == 0 else [row]
        text.append("")
    return text


def markdown(lines: Sequence[Sequence[str]]) -> list[str]:
    """The table for a document."""
    text = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines]
    text.insert(1, "|" + "---|" * len(lines[0]))
    return text


def number_text(value: float) -> str:
    """A number as cells have it."""
    if np.isnan(value):
        return "nan"
    return f"{value:.3f}" if 0.01 <= abs(value) < 100 or value == 0 else f"{value:.3g}"


def setting_text(value: Any) -> str:
    """A metric's setting as notes have it."""
    return " ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
