"""What is made when all images are explained: the table, overlays on a common scale, contact sheets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from explainers.errors import ImageError
from explainers.render.sheet import AnyCell, side_by_side
from explainers.render.style import limits_of
from explainers.run.explain.compared import NO_OVERLAY, Common, Drawing, comparison_sheets
from explainers.run.explain.options import RunOptions
from explainers.run.explain.outputs import COMPARED, DONE, SHEETS, written
from explainers.run.explain.table import write_table
from explainers.run.figure_files import any_format, written_sheet
from explainers.run.kinds import Kind
from explainers.run.targets import Detected
from explainers.storage.journal import Journal, Row
from explainers.storage.run_folder import RunFolder


def finish(folder: RunFolder, options: RunOptions, keys: Sequence[str], kind: Kind, asked: Sequence[str]) -> list[Path]:
    """The table, overlays on a common scale, sheets of these units: one pass over the journal each.

    Args:
        kind: of what the run was over; asked: the titles of all methods, also of those that the network does not allow.

    Returns:
        What was made; the table first.
    """
    out, units = folder.path, _Units(folder.journal, keys)
    made: list[Path] = []
    scales: dict[str, Common] = {}
    if options.scale == "common" and options.overlays:
        scales = _common_scales(out, units)
        made += _draw_on_common_scale(out, units, Drawing(options, kind, scales))
    write_table(out / "results.csv", units.rows(), detection=isinstance(options.target, Detected))
    made.insert(0, out / "results.csv")
    for pattern in (*any_format(SHEETS), *any_format(f"{COMPARED}/**/*")):
        for path in out.glob(pattern):  # of more images than there are now
            path.unlink()
    if options.contact_sheet and options.overlays:
        made += _sheets(out, units, Drawing(options, kind, scales))
    if options.compare:
        made += comparison_sheets(out, units, Drawing(options, kind, scales), asked)
    return made


@dataclass(frozen=True)
class _Units:
    """The units of the images that there are, in their order."""

    journal: Journal
    keys: Sequence[str]
    undrawn: dict[str, str] = field(
        default_factory=dict
    )  # overlays that could not be drawn at the end, with the reason

    def rows(self) -> Iterator[Row]:
        return (row for unit in self for row in unit)

    def __iter__(self) -> Iterator[list[Row]]:
        for unit in self.journal.units(self.keys):
            yield [self._told(row) for row in unit]

    def _told(self, row: Row) -> Row:
        why = self.undrawn.get(row.get("overlay", ""))
        if why is None:
            return row
        return {**row, "overlay": "", "reason": "; ".join(filter(None, (row["reason"], f"{NO_OVERLAY}: {why}")))}


def _common_scales(out: Path, units: _Units) -> dict[str, Common]:
    """method → the scale that takes in the own scales of all its maps, so that no single pixel sets it."""
    found: dict[str, Common] = {}
    for row in units.rows():
        if row["status"] in DONE:
            with np.load(out / row["map"]) as saved:
                map_ = saved["map"]
            own = Common(limits_of(map_), (float(map_.min()), float(map_.max())))
            both = zip(own, found.get(row["method"], own), strict=True)
            found[row["method"]] = Common(*((min(a[0], b[0]), max(a[1], b[1])) for a, b in both))
    return found


def _draw_on_common_scale(out: Path, units: _Units, drawing: Drawing) -> list[Path]:
    made = []
    for row in units.rows():
        if row["status"] in DONE:
            try:
                subject = drawing.read(row)
            except ImageError as error:
                (out / row["overlay"]).unlink(missing_ok=True)  # of an earlier start, on another scale
                units.undrawn[row["overlay"]] = str(error)
                continue
            with np.load(out / row["map"]) as saved:
                outline = saved["outline"] if "outline" in saved.files else None
                drawn = drawing.kind.drawn(subject, saved["map"], drawing.style(row), outline)
            base = row["overlay"].removesuffix(".png")
            made += [out / written(out, f"{base}{suffix}", content) for suffix, content in drawn.items()]
    return made


def _sheets(out: Path, units: _Units, drawing: Drawing) -> Iterator[Path]:
    """Pages of `contact_sheet` images: the photo beside all its overlays."""
    page: list[list[AnyCell]] = []
    number = 0
    for rows in units:
        page.append(drawing.line(out, rows))
        if len(page) == drawing.options.contact_sheet:
            number += 1
            yield _write_sheet(out, number, page, drawing.options.figures)
            page = []
    if page:
        yield _write_sheet(out, number + 1, page, drawing.options.figures)


def _write_sheet(out: Path, number: int, page: list[list[AnyCell]], format: str) -> Path:
    return out / written_sheet(out / f"sheet-{number:03d}.{format}", side_by_side(page))
