"""True boxes of photos, from a table or from COCO's annotations."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from explainers.errors import DataError
from explainers.storage.csv_text import unescaped
from explainers.storage.files import text_of
from explainers.storage.paths import not_there, shown

Corners = tuple[float, float, float, float]
COLUMNS = ("file", "x0", "y0", "x1", "y1")
EXPECTED = (
    f"a CSV table with the columns {','.join(COLUMNS)} and perhaps class, or COCO's annotations (.json), in pixels of "
    "the photos"
)


@dataclass(frozen=True)
class TrueBox:
    """A box that is right.

    corners: x0, y0, x1, y1 in pixels of the photo; classes: how its class may be called, by name or index; empty: a box
    of any class.
    """

    corners: Corners
    classes: frozenset[str] = frozenset()


def read_boxes(table: Path) -> dict[str, list[TrueBox]]:
    """The true boxes of each photo by its name; a photo may have none.

    Raises:
        DataError: no such file, no such table, or a box that is none.
    """
    found: dict[str, list[TrueBox]] = {}
    try:
        rows = _coco(table, found) if table.suffix.lower() == ".json" else _csv(table)
        for where, name, corners, classes in rows:
            found.setdefault(name, []).append(TrueBox(_checked(corners, f"{shown(table)}, {where}"), classes))
    except FileNotFoundError as error:
        raise DataError(not_there(table, "file", f"expected {EXPECTED}")) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{shown(table)} cannot be read: {error}; expected {EXPECTED}") from error
    if not any(found.values()):
        raise DataError(f"{shown(table)} has no boxes; expected {EXPECTED}")
    return found


def _csv(table: Path) -> Iterator[tuple[str, str, Any, frozenset[str]]]:
    with io.StringIO(text_of(table), newline="") as lines:
        reader = csv.DictReader(lines)
        columns = [cell.strip() for cell in reader.fieldnames or ()]
        if missing := [name for name in COLUMNS if name not in columns]:
            raise DataError(
                f"{shown(table)} has no column {missing[0]!r}; there are {', '.join(columns) or 'none'}, and expected "
                f"is {EXPECTED}"
            )
        if twice := [name for name in COLUMNS if columns.count(name) > 1]:
            raise DataError(f"{shown(table)} has two columns {twice[0]!r}; leave the one that is meant")
        reader.fieldnames = columns
        for row in reader:
            if None in row:
                raise DataError(
                    f"{shown(table)}, line {reader.line_num} has more cells than there are columns; a name with a "
                    'comma in it stands in quotes ("a, b.png"), and numbers have a point'
                )
            label = (row.get("class") or "").strip()
            corners = [(row[name] or "").strip() for name in COLUMNS[1:]]
            name = unescaped((row["file"] or "").strip())
            if not name:
                raise DataError(f"{shown(table)}, line {reader.line_num} names no photo; expected {EXPECTED}")
            yield f"line {reader.line_num}", name, corners, frozenset([label] if label else [])


def _coco(table: Path, found: dict[str, list[TrueBox]]) -> Iterator[tuple[str, str, Any, frozenset[str]]]:
    """Boxes of the annotations, crowds aside, which are no single objects; photos without one are put into `found`."""
    text = text_of(table)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{shown(table)} cannot be read: {error}; expected {EXPECTED}") from error
    try:
        names = {image["id"]: image["file_name"] for image in content["images"]}
        if len(names) < len(content["images"]):
            raise DataError(f"{shown(table)} has two images of one id; the boxes of one would be taken for the other's")
        if nameless := [each for each, name in names.items() if not isinstance(name, str) or not name]:
            raise DataError(f"{shown(table)}: image {nameless[0]!r} has no file_name; expected {EXPECTED}")
        classes = {each["id"]: str(each["name"]) for each in content.get("categories", [])}
        found.update((name, []) for name in names.values())
        for place, each in enumerate(content["annotations"]):
            x, y, width, height = each["bbox"]
            if each.get("iscrowd"):
                continue
            if not all(isinstance(value, (int, float)) for value in each["bbox"]):  # "1" + "2" would be "12"
                raise DataError(f"{shown(table)}, annotation {place + 1}: bbox {each['bbox']!r}; expected four numbers")
            category = each.get("category_id")
            called = () if category is None else (str(category), classes.get(category, str(category)))
            yield f"annotation {place + 1}", names[each["image_id"]], (x, y, x + width, y + height), frozenset(called)
    except DataError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{shown(table)} is not as COCO's annotations are ({error!r}); expected {EXPECTED}") from error


def _checked(given: Any, where: str) -> Corners:
    try:
        if any("_" in value for value in given if isinstance(value, str)):  # which Python's numbers may have
            raise ValueError
        x0, y0, x1, y1 = map(float, given)
    except (TypeError, ValueError, OverflowError) as error:
        told = ", ".join(f"{value!s:.20}" for value in given)
        raise DataError(f"{where}: {told} is no box; expected x0, y0, x1, y1") from error
    if not all(map(math.isfinite, (x0, y0, x1, y1))) or x1 <= x0 or y1 <= y0:
        raise DataError(
            f"{where}: {x0:g}, {y0:g}, {x1:g}, {y1:g} has no area or is not finite; expected x0 < x1 and y0 < y1"
        )
    return x0, y0, x1, y1
