"""What pictures of volumes and signals share: figures of several below each other, pixels, colour bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from explainers.errors import OptionError
from explainers.render.colour_bar import filled_bar, scale_of
from explainers.render.drawing import new_figure
from explainers.render.style import Style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 9.6  # inches
LINE = 0.17  # inches of a line of a title
DOTS = 100  # an inch, where a figure becomes pixels


@dataclass(frozen=True, eq=False)
class MapRow:
    """A map (*axes), or (C, *axes), as it is to be drawn; title: of several lines, or none; region: (*axes) bool of
    what is explained, whose edge is drawn, None for all of it."""

    values: np.ndarray
    style: Style
    title: str = ""
    region: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not np.isfinite(self.values).all():
            raise OptionError("the map has NaN or infinite values and cannot be drawn")


class Picture(Protocol):
    """Something that is drawn into a figure, or into a part of one."""

    @property
    def height(self) -> float:
        """Inches, where it is `WIDTH` wide."""

    def draw(self, into: Any) -> None:
        """Into an empty figure or subfigure of matplotlib."""


def figure_of(pictures: Sequence[Picture]) -> Figure:
    """Pictures below each other."""
    heights = [each.height for each in pictures]
    fig = new_figure((WIDTH, sum(heights)))
    parts = fig.subfigures(len(pictures), 1, squeeze=False, height_ratios=heights)[:, 0]
    for part, picture in zip(parts, pictures, strict=True):
        picture.draw(part)
    return fig


def pixels_of(picture: Picture) -> np.ndarray:
    """(H, W, 3) uint8."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    fig = figure_of([picture])
    fig.set_dpi(DOTS)
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def upright_bar(axis: Any, row: MapRow) -> None:
    """The bar of a map's colours with its numbers, in axes of its own; they stay empty where the map is one value."""
    scale = scale_of(row.values.reshape(1, -1), row.style)
    if scale is None:
        axis.set_axis_off()
        return
    filled_bar(axis, scale, extendfrac=0.03).ax.tick_params(labelsize=7)


def lines_of(title: str) -> float:
    """Inches of a title."""
    return LINE * (title.count("\n") + 1) if title else 0.0
