"""Pictures of an image side by side: the lines of contact sheets, and sheets with what its methods say together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from explainers.core.maps import CONSTANT
from explainers.data.images import read_image
from explainers.errors import ImageError
from explainers.evaluation.consensus import MEAN_LIMITS, SPREAD_LIMITS, captions, consensus
from explainers.render import Scale, Style
from explainers.render.sheet import EMPTY, AnyCell, folded
from explainers.run.explain.options import RunOptions
from explainers.run.explain.outputs import COMPARED, DONE, NOTHING
from explainers.run.explain.reading import content_or_none
from explainers.run.figure_files import written_sheet
from explainers.run.kinds import Kind
from explainers.run.targets.detected import box_caption
from explainers.storage.journal import Row
from explainers.storage.paths import shown

NO_MAP, NO_OVERLAY = "no map", "no overlay"


class Common(NamedTuple):
    """The scale that the maps of a method share: its ends, and the lowest and highest of their values, which may lie
    beyond."""

    ends: tuple[float, float]
    values: tuple[float, float]


@dataclass(frozen=True)
class Drawing:
    """What pictures of a run are made of. scales: method → the scale that its maps share, where they do."""

    options: RunOptions
    kind: Kind
    scales: Mapping[str, Common]

    def read(self, row: Row) -> Any:
        """What a row is of.

        Raises:
            ImageError: it cannot be read any more, or is another one than was explained.
        """
        path = Path(row["source"])
        content = content_or_none(path, self.kind.content)
        if content is not None and content.hex() != row.get("content", content.hex()):
            raise ImageError(f"{shown(path)} has changed since it was explained; the same command explains it anew")
        return self.kind.read(path, self.options.max_pixels)

    def shown(self, row: Row) -> tuple[str, np.ndarray]:
        """What a row is of as a picture, or in words why there is none."""
        try:
            return "", self.kind.shown(self.read(row))
        except ImageError as error:
            return f"\n{error}", EMPTY

    def style(self, row: Row) -> Style:
        """Of the row's overlay."""
        common = self.scales.get(row["method"])
        return self.options.style(None if common is None else common.ends)

    def line(self, out: Path, rows: Sequence[Row]) -> list[AnyCell]:
        """An image's cells: the photo and its overlays, or why it has none."""
        good = [row for row in rows if row["status"] in DONE]
        if not good:
            why, pixels = self.shown(rows[0]) if rows[0]["status"] == NOTHING else ("", EMPTY)
            return [(f"{rows[0]['file']}\n{rows[0]['status']}: {rows[0]['reason']}{why}", pixels)]
        return [self.photo(good[0]), *(self.overlay(out, row) for row in good)]

    def photo(self, row: Row) -> AnyCell:
        """The cell of what a row is of."""
        caption = row["file"]
        if "predicted" in row:
            caption += f"\n{_told(row, 'predicted_name', 'probability')}"
        if row.get("true_name"):
            caption += f"\ntrue {row['true_name']}"
        why, pixels = self.shown(row)
        return f"{caption}{why}", pixels

    def overlay(self, out: Path, row: Row) -> AnyCell:
        """The cell of a row's overlay, with the scale of its colours."""
        method = f"{row['method']} ({CONSTANT})" if row["status"] == CONSTANT else row["method"]
        box = row.get("detection")
        told = box_caption(row["target_name"], row) if box else _told(row, "target_name", "target_probability")
        caption = f"{method}\n{told}"
        if not row["overlay"]:
            return f"{caption}\n{NO_OVERLAY}", EMPTY
        scale = None if row.get("scale") is None else Scale(**row["scale"])
        if scale is not None and row["method"] in self.scales:
            scale = self.kind.scale(np.array([self.scales[row["method"]].values]), self.style(row))
        return caption, read_image(out / row["overlay"]).pixels, scale


def comparison_sheets(out: Path, units: Iterable[list[Row]], drawing: Drawing, asked: Sequence[str]) -> Iterator[Path]:
    """A sheet for each image: the photo, its map by each method, their mean and disagreement; a line a target.

    Args:
        asked: all methods; those without a map, which the network does not allow, are named.
    """
    for rows in units:
        good = [row for row in rows if row["status"] in DONE]
        if not good:
            continue
        methods: dict[str, list[Row]] = {}
        for row in rows:
            methods.setdefault(row["method"], []).append(row)
        targets = [[row for row in each if row["status"] in DONE] for each in zip(*methods.values(), strict=True)]
        lines = [part for each in targets if each for part in folded(_compared(out, each, drawing, asked))]
        path = out / COMPARED / f"{good[0]['base']}.{drawing.options.figures}"
        written_sheet(path, lines, cell=256)
        yield path


def _compared(out: Path, rows: Sequence[Row], drawing: Drawing, asked: Sequence[str]) -> list[AnyCell]:
    """The line of one target: a row of each method."""
    line = [drawing.photo(rows[0]), *(drawing.overlay(out, row) for row in rows)]
    maps: dict[str, np.ndarray | str] = dict.fromkeys(asked, NO_MAP)
    for row in rows:
        with np.load(out / row["map"]) as saved:
            maps[row["method"]] = saved["map"]
            outline = saved["outline"] if "outline" in saved.files else None
    try:
        subject = drawing.read(rows[0])
    except ImageError:  # as the photo's caption says
        return line
    found = consensus(maps, len(drawing.kind.size(subject)))
    if found is None:
        return line
    for caption, map_, limits in zip(
        captions(found), (found.mean, found.spread), (MEAN_LIMITS, SPREAD_LIMITS), strict=True
    ):
        style = replace(drawing.options.style(limits), signed=False, outline=None)
        drawn = drawing.kind.drawn(subject, map_, style, outline)[".png"]
        assert isinstance(drawn, np.ndarray)
        line.append((caption, drawn, drawing.kind.scale(map_, style)))
    return line


def _told(row: Row, name: str, value: str) -> str:
    """A name with f(x): two digits are enough for probabilities."""
    if row[value] == "":
        return str(row[name])
    digits = ".3g" if value == "target_probability" and row.get("quantity") in ("value", "score") else ".2f"
    return f"{row[name]} {row[value]:{digits}}"
