"""What `explain run` left, as entries."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from explainers.core.option_types import whole_number
from explainers.data.images import ImageFile
from explainers.errors import counted
from explainers.render.style import OPACITY
from explainers.run.explain.outputs import NOTHING
from explainers.run.explain.reading import content_or_none, key_of
from explainers.run.kinds.recordings import Recordings
from explainers.run.report.entry import Entry, MapEntry, Shown
from explainers.run.report.folder import ReadFolder, number
from explainers.run.report.recipes import network_facts, recipes_of
from explainers.storage.journal import Row

# Columns that say what a row is of; every other column of numbers is something to sort by.
KNOWN = frozenset(
    ("predicted", "true", "target", "probability", "target_probability", "seconds", "masks", "passes_per_second",
     "detection", "x0", "y0", "x1", "y1")
)  # fmt: skip
NAMES = {"standard_error": "standard error"}  # of columns, as a page calls them
CHANGED = "the file has changed since it was explained: its photo is not shown"


def explained(folder: ReadFolder) -> Shown:
    """The images, methods and look of a run."""
    facts, found = folder.facts, Shown("run", "Heat maps")
    by_name: dict[str, Entry] = {}
    for key, rows in folder.units():
        entry = _entry(folder, key, rows)
        by_name.pop(entry.name, None)  # of an image that was another one then
        by_name[entry.name] = entry
    found.entries = list(by_name.values())
    found.methods = _titles(facts, found.entries)
    columns = dict.fromkeys(name for each in found.entries for map_ in each.maps for name in map_.values)
    found.scores = dict.fromkeys(columns, "")
    options = facts.get("options") or {}
    found.cmap, found.opacity = options.get("cmap"), options.get("opacity", OPACITY)
    found.common = options.get("scale") == "common"
    found.max_pixels = options.get("max_pixels")
    found.preprocessing = facts.get("preprocessing")
    found.facts = network_facts(facts)
    found.recipes = recipes_of(facts, found.methods)
    missing = int(facts.get("images") or 0) - len(found.entries)
    found.status = folder.status
    if found.status and missing > 0:
        found.status += f" {counted(missing, 'image')} of {facts['images']} are missing."
    found.cautions = [f"{name} was left out: {reason}" for name, reason in (facts.get("refused") or {}).items()]
    if options.get("maps") is False:
        found.cautions.append("This run kept no maps (--no-maps), so that there are only photos and classes to show.")
    return found


def _titles(facts: dict[str, Any], entries: list[Entry]) -> list[str]:
    methods = facts.get("methods") or []
    given = list(methods) if isinstance(methods, dict) else [each.get("label") or each["name"] for each in methods]
    present = dict.fromkeys(map_.method for each in entries for map_ in each.maps)
    return [title for title in dict.fromkeys([*given, *present]) if title in present]


def _entry(folder: ReadFolder, key: str, rows: list[Row]) -> Entry:
    first = rows[0]
    good = [row for row in rows if row.get("method")]
    source = next((Path(row["source"]) for row in rows if row.get("source")), None)
    true = first.get("true", "")
    entry = Entry(
        str(first["file"]),
        source,
        str(first.get("predicted_name", "")),
        None if first.get("quantity") == "score" else number(first.get("probability")),
        str(first.get("true_name", "")),
        None if true == "" or first.get("predicted", "") == "" else first["predicted"] == true,
        "" if len(good) > 1 else str(first.get("reason", "")),
        "" if good or first.get("status") == NOTHING else str(first.get("reason", "")),
    )
    entry.unlike = partial(_unlike, source, entry.name, key, first, folder.kind)
    entry.maps = [_map(folder, row) for row in good]
    return entry


def _map(folder: ReadFolder, row: Row) -> MapEntry:
    values = {
        NAMES.get(name, name): value
        for name, value in row.items()
        if name not in KNOWN and isinstance(value, (int, float)) and not isinstance(value, bool)
    }
    return MapEntry(
        str(row["method"]),
        str(row.get("target_name", "")),
        number(row.get("target_probability")),
        str(row.get("quantity") or "probability"),
        str(row.get("status", "ok")),
        str(row.get("reason", "")),
        str(row.get("layer", "")),
        folder.inside(str(row.get("map", ""))),
        values,
        box=box_of(row),
        sure=number(row.get("score")),
    )


def box_of(row: Row) -> tuple[float, ...] | None:
    """The box of a detection in its photo, None of a row that is of none."""
    found = tuple(number(row.get(name)) for name in ("x0", "y0", "x1", "y1"))
    return None if None in found else found  # type: ignore[return-value]


def _unlike(source: Path | None, name: str, key: str, row: Row, kind: Recordings | None, photo: Any) -> str:
    """Whether the file is still the one that the row is of."""
    if source is None:
        return ""
    content = content_or_none(source) if kind is None else content_or_none(source, kind.content)
    if "content" in row:
        return "" if content is not None and content.hex() == row["content"] else CHANGED
    # Rows of earlier versions have the key alone, which holds the true class and what a target was made of as well.
    true, file = str(row.get("true", "")), ImageFile(source, name)
    label = whole_number(true)
    return "" if key in (key_of(file, label, None, content), key_of(file, None, None, content)) else CHANGED
