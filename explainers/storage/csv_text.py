"""Tables of text that a spreadsheet reads as text: no cell begins like a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """CSV of the columns; other values of a row are left out, missing ones are empty."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([escaped(column) for column in columns])
    for row in rows:
        writer.writerow([escaped(row.get(column, "")) for column in columns])
    return buffer.getvalue()


def escaped(cell: Any) -> Any:
    """A text that a spreadsheet would compute, such as the file name `=cmd().png`, behind an apostrophe.

    Numbers stay. `unescaped` gives the text back.
    """
    return f"'{cell}" if isinstance(cell, str) and _computes(cell.lstrip("'")) else cell


def unescaped(cell: str) -> str:
    """The text of a cell that `escaped` made."""
    return cell[1:] if cell.startswith("'") and _computes(cell.lstrip("'")) else cell


def _computes(text: str) -> bool:
    if not text.startswith(FORMULA):
        return False
    try:
        float(text)
    except ValueError:
        return True
    return False
