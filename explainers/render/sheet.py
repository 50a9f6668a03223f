"""Contact sheets: each photo beside its maps, with captions."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Cell = tuple[str, np.ndarray]  # caption, (H, W, 3) uint8
GAP, LINE = 8, 17
EMPTY = np.full((1, 1, 3), 255, np.uint8)  # the picture of a cell that has none
WIDEST = 8  # cells that short rows fill together


def contact_sheet(rows: Sequence[Sequence[Cell]], *, cell: int = 192) -> np.ndarray:
    """One picture of all cells, a row each, every cell fitted into a square.

    Args:
        rows: captions (several lines are allowed, long ones are broken once, then shortened) and pictures.
        cell: side of the square in pixels.

    Returns:
        (H, W, 3) uint8 on white.
    """
    from PIL import Image, ImageDraw

    columns = max(len(row) for row in rows)
    rows = [[("\n".join(_broken(caption, cell)), pixels) for caption, pixels in row] for row in rows]
    lines = max(caption.count("\n") + 1 for row in rows for caption, _ in row)
    height, width = cell + lines * LINE + GAP, cell + GAP
    sheet = Image.new("RGB", (columns * width + GAP, len(rows) * height + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for i, row in enumerate(rows):
        for j, (caption, pixels) in enumerate(row):
            left, top = GAP + j * width, GAP + i * height
            picture = Image.fromarray(pixels)
            scale = cell / max(picture.size)
            size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
            picture = picture.resize(size, Image.Resampling.BILINEAR if scale > 1 else Image.Resampling.LANCZOS)
            sheet.paste(picture, (left + (cell - size[0]) // 2, top + lines * LINE + (cell - size[1]) // 2))
            for number, line in enumerate(caption.split("\n")):
                draw.text((left, top + number * LINE - 2), _fitting(line, cell), fill="black", font=caption_font())
    return np.asarray(sheet)


def side_by_side(rows: Sequence[Sequence[Cell]]) -> list[list[Cell]]:
    """Short rows next to each other, so that a sheet of many of them is about square and at most eight cells wide.

    Args:
        rows: in their order, which goes from left to right and then down; shorter ones are filled up with empty cells.
    """
    columns = max(len(row) for row in rows)
    beside = max(1, min(WIDEST // columns, math.ceil(math.sqrt(len(rows) / columns))))
    filled = [[*row, *[("", EMPTY)] * (columns - len(row))] for row in rows]
    starts = range(0, len(rows), beside)
    return [[cell for row in filled[start : start + beside] for cell in row] for start in starts]


def figure(rows: Sequence[Sequence[Cell]], *, size: float = 2.4) -> Figure:
    """The same as a matplotlib figure, for notebooks; size: inches of a cell."""
    from matplotlib.figure import Figure

    class Shown(Figure):
        """A figure that notebooks display without pyplot's bookkeeping."""

        def _repr_png_(self) -> bytes:
            buffer = io.BytesIO()
            self.savefig(buffer, format="png", dpi=96)
            return buffer.getvalue()

    columns = max(len(row) for row in rows)
    fig = Shown(figsize=(size * columns, (size + 0.45) * len(rows)), layout="constrained")
    axes = fig.subplots(len(rows), columns, squeeze=False)
    for row, line in zip(rows, axes, strict=True):
        for axis in line:
            axis.set_axis_off()
        for (caption, pixels), axis in zip(row, line, strict=False):
            axis.imshow(pixels, interpolation="nearest")
            axis.set_title(caption, fontsize=9, parse_math=False)
    return fig


@lru_cache(maxsize=1)
def caption_font() -> Any:
    """What captions are set in."""
    from matplotlib import font_manager
    from PIL import ImageFont

    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 12)


def _broken(caption: str, width: int) -> list[str]:
    """The lines of a caption; one that is too long goes on in a second one, behind a mark or blank where there is one
    in the second half of what fits."""
    lines = []
    for line in caption.split("\n"):
        line = "".join(letter if letter.isprintable() else "�" for letter in line)
        if caption_font().getlength(line) <= width:
            lines.append(line)
            continue
        most = max((at for at in range(1, len(line)) if caption_font().getlength(line[:at]) <= width), default=1)
        marks = [at for at in range(most // 2, most + 1) if at and not line[at - 1].isalnum()]
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
