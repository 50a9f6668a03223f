"""What is made when all images are explained: the table, overlays on a common scale, contact sheets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from explainers.core.maps import CONSTANT
from explainers.data.images import read_image, write_image
from explainers.render import Style, contact_sheet
from explainers.render.sheet import EMPTY, Cell, side_by_side
from explainers.run.explain.options import RunOptions
from explainers.run.explain.outputs import DONE, NOTHING, written
from explainers.run.explain.table import write_table
from explainers.run.kinds import Kind
from explainers.run.targets import Detected
from explainers.storage.journal import Journal, Row
from explainers.storage.run_folder import RunFolder


def finish(folder: RunFolder, options: RunOptions, keys: Sequence[str], kind: Kind) -> list[Path]:
    """The table, overlays on a common scale, contact sheets of these units: one pass over the journal each.

    Args:
        kind: of what the run was over.

    Returns:
        What was made; the table first.
    """
    out, units = folder.path, _Units(folder.journal, keys)
    write_table(out / "results.csv", units.rows(), detection=isinstance(options.target, Detected))
    made = [out / "results.csv"]
    if options.scale == "common" and options.overlays:
        made += _draw_on_common_scale(out, units, options, kind)
    for path in out.glob("sheet-*.png"):  # of more images than there are now
        path.unlink()
    if options.contact_sheet and options.overlays:
        made += _sheets(out, units, options, kind)
    return made


@dataclass(frozen=True)
class _Units:
    """The units of the images that there are, in their order."""

    journal: Journal
    keys: Sequence[str]

    def rows(self) -> Iterator[Row]:
        return self.journal.rows(self.keys)

    def __iter__(self) -> Iterator[list[Row]]:
        return self.journal.units(self.keys)


def _draw_on_common_scale(out: Path, units: _Units, options: RunOptions, kind: Kind) -> list[Path]:
    limits: dict[str, tuple[float, float]] = {}
    made = []
    for row in units.rows():
        if row["status"] in DONE:
            with np.load(out / row["map"]) as saved:
                low, high = float(saved["map"].min()), float(saved["map"].max())
            before = limits.get(row["method"], (low, high))
            limits[row["method"]] = (min(low, before[0]), max(high, before[1]))
    for row in units.rows():
        if row["status"] in DONE:
            subject = kind.read(Path(row["source"]), options.max_pixels)
            with np.load(out / row["map"]) as saved:
                style = Style(options.cmap, options.opacity, limits=limits[row["method"]])
                outline = saved["outline"] if "outline" in saved.files else None
                drawn = kind.drawn(subject, saved["map"], style, outline)
            base = row["overlay"].removesuffix(".png")
            made += [out / written(out, f"{base}{suffix}", content) for suffix, content in drawn.items()]
    return made


def _sheets(out: Path, units: _Units, options: RunOptions, kind: Kind) -> Iterator[Path]:
    """Pages of `contact_sheet` images: the photo beside all its overlays."""
    page: list[list[Cell]] = []
    number = 0
    for rows in units:
        page.append(_line(out, rows, options, kind))
        if len(page) == options.contact_sheet:
            number += 1
            yield _write_sheet(out, number, page)
            page = []
    if page:
        yield _write_sheet(out, number + 1, page)


def _line(out: Path, rows: list[Row], options: RunOptions, kind: Kind) -> list[Cell]:
    """An image's cells: the photo and its overlays, or why it has none."""
    good = [row for row in rows if row["status"] in DONE]
    if not good:
        nothing = rows[0]["status"] == NOTHING
        pixels = kind.shown(kind.read(Path(rows[0]["source"]), options.max_pixels)) if nothing else EMPTY
        return [(f"{rows[0]['file']}\n{rows[0]['status']}: {rows[0]['reason']}", pixels)]
    caption = good[0]["file"]
    if "predicted" in good[0]:
        caption += f"\n{_told(good[0], 'predicted_name', 'probability')}"
    if good[0].get("true_name"):
        caption += f"\ntrue {good[0]['true_name']}"
    line = [(caption, kind.shown(kind.read(Path(good[0]["source"]), options.max_pixels)))]
    for row in good:
        method = f"{row['method']} ({CONSTANT})" if row["status"] == CONSTANT else row["method"]
        target = _told(row, "target_name", "target_probability")
        line.append((f"{method}\n{target}", read_image(out / row["overlay"]).pixels))
    return line


def _told(row: Row, name: str, value: str) -> str:
    """A name with f(x): two digits are enough for probabilities."""
    if row[value] == "":
        return str(row[name])
    digits = ".3g" if value == "target_probability" and row.get("quantity") in ("value", "score") else ".2f"
    return f"{row[name]} {row[value]:{digits}}"


def _write_sheet(out: Path, number: int, page: list[list[Cell]]) -> Path:
    path = out / f"sheet-{number:03d}.png"
    write_image(path, contact_sheet(side_by_side(page)))
    return path
