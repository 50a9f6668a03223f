"""What is made when all images are explained: the table, overlays on a common scale, contact sheets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from explainers.data.images import read_image, write_image
from explainers.render import Style, contact_sheet
from explainers.run.explain.options import MethodCall, RunOptions
from explainers.run.explain.outputs import DONE, picture
from explainers.run.explain.table import write_table
from explainers.storage.journal import Journal, Row
from explainers.storage.run_folder import RunFolder


def finish(folder: RunFolder, calls: Sequence[MethodCall], options: RunOptions) -> list[Path]:
    """The table, overlays on a common scale, contact sheets: one pass over the journal each."""
    out, journal = folder.path, folder.journal
    write_table(out / "results.csv", journal.rows())
    if options.scale == "common" and options.overlays:
        _draw_on_common_scale(out, journal, calls, options)
    return list(_sheets(out, journal, options)) if options.contact_sheet and options.overlays else []


def _draw_on_common_scale(out: Path, journal: Journal, calls: Sequence[MethodCall], options: RunOptions) -> None:
    limits: dict[str, tuple[float, float]] = {}
    for row in journal.rows():
        if row["status"] in DONE:
            with np.load(out / row["map"]) as saved:
                low, high = float(saved["map"].min()), float(saved["map"].max())
            before = limits.get(row["method"], (low, high))
            limits[row["method"]] = (min(low, before[0]), max(high, before[1]))
    for row in journal.rows():
        if row["status"] in DONE:
            photo = read_image(row["source"], max_pixels=options.max_pixels)
            with np.load(out / row["map"]) as saved:
                style = Style(options.cmap, options.opacity, limits=limits[row["method"]])
                write_image(out / row["overlay"], picture(photo, saved["map"], saved["box"].tolist(), style))


def _sheets(out: Path, journal: Journal, options: RunOptions) -> Iterator[Path]:
    """Pages of `contact_sheet` images: the photo beside all its overlays."""
    page: list[list[tuple[str, np.ndarray]]] = []
    number = 0
    for rows in journal.units():
        good = [row for row in rows if row["status"] in DONE]
        if not good:
            continue
        caption = f"{good[0]['file']}\n{_told(good[0], 'predicted_name', 'probability')}"
        line = [(caption, read_image(good[0]["source"], max_pixels=options.max_pixels).pixels)]
        for row in good:
            target = _told(row, "target_name", "target_probability")
            line.append((f"{row['method']}\n{target}", read_image(out / row["overlay"]).pixels))
        page.append(line)
        if len(page) == options.contact_sheet:
            number += 1
            yield _write_sheet(out, number, page)
            page = []
    if page:
        yield _write_sheet(out, number + 1, page)


def _told(row: Row, name: str, value: str) -> str:
    return f"{row[name]} {row[value]:.2f}" if row[value] != "" else str(row[name])


def _write_sheet(out: Path, number: int, page: list[list[tuple[str, np.ndarray]]]) -> Path:
    path = out / f"sheet-{number:03d}.png"
    write_image(path, contact_sheet(page))
    return path
