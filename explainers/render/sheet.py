"""Contact sheets: each photo beside its maps, with captions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from explainers.render.colour_bar import BAR, Scale, add_bar, draw_bar
from explainers.render.drawing import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Cell(NamedTuple):
    """A picture of a sheet: (H, W, 3) uint8 pixels below a caption of several lines, above the bar of its colours."""

    caption: str
    pixels: np.ndarray
    scale: Scale | None = None


AnyCell = Cell | tuple[str, np.ndarray] | tuple[str, np.ndarray, Scale | None]
GAP, LINE = 8, 17
SCALE = BAR + 19  # pixels below a picture for its bar, with its numbers
EMPTY = np.full((1, 1, 3), 255, np.uint8)  # the picture of a cell that has none
BETWEEN = 0.2  # inches that matplotlib's layout leaves between cells
WIDEST = 8  # cells that short rows fill together


def contact_sheet(rows: Sequence[Sequence[AnyCell]], *, cell: int = 192) -> np.ndarray:
    """One picture of all cells, a row each, every cell fitted into a square, with what it says above and below it.

    Args:
        rows: captions (several lines are allowed, long ones are broken once, then shortened) and pictures, with the
            scales of their colours where they have some.
        cell: side of the square in pixels; a row is as high as its highest picture.

    Returns:
        (H, W, 3) uint8 on white.
    """
    from PIL import Image, ImageDraw

    columns = max(len(row) for row in rows)
    whole = [[_broken_cell(each, cell) for each in row] for row in rows]
    lines = max(each.caption.count("\n") + 1 for row in whole for each in row)
    heights = [max([_fitted(each, cell)[1] for each in row if _is_picture(each)], default=cell) for row in whole]
    below = [SCALE if any(each.scale for each in row) else 0 for row in whole]
    tall = sum(heights) + sum(below) + len(whole) * (lines * LINE + GAP) + GAP
    sheet = Image.new("RGB", (columns * (cell + GAP) + GAP, tall), "white")
    draw, top = ImageDraw.Draw(sheet), GAP
    for row, high, bar in zip(whole, heights, below, strict=True):
        for number, each in enumerate(row):
            left, first = GAP + number * (cell + GAP), top + lines * LINE
            if _is_picture(each):
                size = _fitted(each, cell)
                larger = size[0] > each.pixels.shape[1]
                picture = Image.fromarray(each.pixels).resize(
                    size, Image.Resampling.BILINEAR if larger else Image.Resampling.LANCZOS
                )
                sheet.paste(picture, (left + (cell - size[0]) // 2, first + (high - size[1]) // 2))
            for place, line in enumerate(each.caption.split("\n")):
                draw.text((left, top + place * LINE - 2), _fitting(line, cell), fill="black", font=caption_font())
            if each.scale:
                draw_bar(draw, each.scale, (left, first + high + 4), cell, caption_font(10))
        top += lines * LINE + high + bar + GAP
    return np.asarray(sheet)


def side_by_side(rows: Sequence[Sequence[AnyCell]]) -> list[list[AnyCell]]:
    """Short rows next to each other, so that a sheet of many of them is about square and at most eight cells wide.

    Args:
        rows: in their order, which goes from left to right and then down; shorter ones are filled up with empty cells.
    """
    columns = max(len(row) for row in rows)
    beside = max(1, min(WIDEST // columns, math.ceil(math.sqrt(len(rows) / columns))))
    filled: list[list[AnyCell]] = [[*row, *[("", EMPTY)] * (columns - len(row))] for row in rows]
    starts = range(0, len(rows), beside)
    return [[cell for row in filled[start : start + beside] for cell in row] for start in starts]


def folded(row: Sequence[AnyCell]) -> list[list[AnyCell]]:
    """A long row as several of about the same length, at most eight cells wide."""
    lines = -(-len(row) // WIDEST)
    wide = -(-len(row) // lines)
    return [list(row[start : start + wide]) for start in range(0, len(row), wide)]


def figure(rows: Sequence[Sequence[AnyCell]], *, size: float = 2.4) -> Figure:
    """The same as a matplotlib figure, for notebooks, and for files of which the text stays text; size: inches of a
    cell."""
    columns = max(len(row) for row in rows)
    # A caption has nine points, and its letters are measured in pixels of twelve: an inch would be 96 of them, but they
    # are not as wide at every resolution.
    most = round(90 * size)
    whole = [[_broken_cell(each, most) for each in row] for row in rows]
    heights = [max([_inches(each, size)[1] for each in row if _is_picture(each)], default=size) for row in whole]
    lines = [max(each.caption.count("\n") + 1 for each in row) for row in whole]
    around = [
        0.17 * count + 0.1 + 0.27 * any(each.scale for each in row) for row, count in zip(whole, lines, strict=True)
    ]
    fig = new_figure((size * columns, sum(heights) + sum(around)))
    axes = fig.subplots(len(rows), columns, squeeze=False, height_ratios=heights)
    for row, line, count in zip(whole, axes, lines, strict=True):
        for axis in line:
            axis.set_axis_off()
        for each, axis in zip(row, line, strict=False):
            if _is_picture(each):
                axis.imshow(each.pixels, interpolation="antialiased")
            caption = "\n".join(_fitting(part, most) for part in each.caption.split("\n"))
            # A caption and a bar are as wide as the cell, of which a narrow picture fills the middle.
            inches = _inches(each, size)
            across = max(inches[0], size - BETWEEN)
            start = (1 - across / inches[0]) / 2 if _is_picture(each) else 0.0
            text = caption + "\n" * (count - 1 - caption.count("\n"))
            axis.set_title(text, loc="left", x=start, fontsize=9, parse_math=False)
            if each.scale:
                add_bar(axis, each.scale, inches, across)
    return fig


def _broken_cell(cell: AnyCell, width: int) -> Cell:
    """A cell whose caption has its lines."""
    made = Cell(*cell)
    return made._replace(caption="\n".join(_broken(made.caption, width)))


def _is_picture(cell: Cell) -> bool:
    return cell.pixels is not EMPTY


def _fitted(cell: Cell, side: int) -> tuple[int, int]:
    """(width, height) in pixels of a picture that fills a square in one direction."""
    height, width = cell.pixels.shape[:2]
    share = side / max(height, width)
    return max(1, round(width * share)), max(1, round(height * share))


def _inches(cell: Cell, side: float) -> tuple[float, float]:
    height, width = cell.pixels.shape[:2]
    return side * width / max(height, width), side * height / max(height, width)


@lru_cache(maxsize=4)
def caption_font(size: int = 12) -> Any:
    """What captions are set in; size: of its letters in pixels."""
    from matplotlib import font_manager
    from PIL import ImageFont

    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), size)


def _broken(caption: str, width: int) -> list[str]:
    """The lines of a caption; one that is too long goes on in a second one, behind a mark or blank where there is one
    in the second half of what fits, but not behind the point of a number or of a suffix."""
    lines = []
    for line in caption.split("\n"):
        line = "".join(letter if letter.isprintable() else "�" for letter in line)
        if caption_font().getlength(line) <= width:
            lines.append(line)
            continue
        most = max((at for at in range(1, len(line)) if caption_font().getlength(line[:at]) <= width), default=1)
        marks = [at for at in range(most // 2, most + 1) if at and not line[at - 1].isalnum() and line[at - 1] != "."]
        at = marks[-1] if marks else most
        lines += [line[:at].rstrip(" "), line[at:].lstrip(" ")]
    return lines


def _fitting(line: str, width: int) -> str:
    """A line that fits, shortened in its middle."""
    if caption_font().getlength(line) <= width:
        return line
    keep = len(line) - 1
    while keep > 1 and caption_font().getlength(line[: (keep + 1) // 2] + "…" + line[len(line) - keep // 2 :]) > width:
        keep -= 1
    return line[: (keep + 1) // 2] + "…" + line[len(line) - keep // 2 :]
