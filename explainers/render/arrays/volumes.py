"""Maps of a volume as pictures: three planes through a maximum, and a walk through all slices."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from explainers.errors import OptionError
from explainers.render.arrays.pictures import MapRow, lines_of, upright_bar
from explainers.render.outline import outlined
from explainers.render.overlay import overlay
from explainers.render.style import Style, limits_of

BRIGHT = (0.01, 0.995)  # quantiles of the values that are black and white
LEAST = 320  # pixels of the longer side of a slice
FRAMES = 48  # of a walk at most
ACROSS, LOWEST, HIGHEST = 2.6, 0.6, 3.0  # inches of a plane
AROUND, BETWEEN = 0.35, 0.3


def gray_of(values: np.ndarray) -> np.ndarray:
    """(C, *axes) of any values as (*axes, 3) uint8: three channels within 0 … 1 as colours, else the first as gray.

    Gray goes from the 1st to the 99.5th percentile of the values.
    """
    if len(values) == 3 and values.min() >= 0 and values.max() <= 1:
        return np.round(np.moveaxis(values, 0, -1) * 255).astype(np.uint8)
    first = np.asarray(values[0], np.float32)
    sample = first.ravel()[:: max(1, first.size // 1_000_000)]
    low, high = np.quantile(sample, BRIGHT)
    if not high > low:
        low, high = first.min(), max(first.max(), first.min() + 1e-12)
    gray = np.round(np.clip((first - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=-1)


@dataclass(frozen=True, eq=False)
class Planes:
    """Three planes through a place of a volume, bare in the first row, and with a map in each row below it.

    pixels: (A, B, C, 3) uint8; rows: maps (A, B, C), each with a colour bar; names: of the axes, for labels; spacing:
    how far places lie apart along each axis, so that slices have their true proportions; place: (a, b, c), None for
    where the first map is strongest; title: above all of it.
    """

    pixels: np.ndarray
    rows: Sequence[MapRow]
    names: Sequence[str] = ("axis 0", "axis 1", "axis 2")
    spacing: Sequence[float] = (1.0, 1.0, 1.0)
    place: tuple[int, ...] | None = None
    title: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            _check(self.pixels, row.values)

    @property
    def height(self) -> float:
        """Inches."""
        titles = lines_of(self.title) + sum(lines_of(row.title) for row in self.rows)
        return AROUND + titles + (self._tall + BETWEEN) * (1 + len(self.rows))

    def draw(self, into: Any) -> None:
        """Into an empty figure or subfigure of matplotlib."""
        count = 1 + len(self.rows)
        grid = into.add_gridspec(count, 4, width_ratios=(20, 20, 20, 1))  # all rows alike, so that columns are straight
        peak = self.place or (strongest(self.rows[0].values) if self.rows else tuple(s // 2 for s in self._sides))
        for number in range(count):
            row = self.rows[number - 1] if number else None
            for axis in range(3):
                panel = into.add_subplot(grid[number, axis])
                self._plane(panel, axis, peak, row)
                panel.tick_params(labelsize=7, labelbottom=number == count - 1)
                if number == count - 1:
                    panel.set_xlabel(self.names[_others(axis)[1]], fontsize=8)
                told = f"{self.names[axis]} = {peak[axis]} of {self._sides[axis]}"
                if row is None:
                    panel.set_title(told, fontsize=9, parse_math=False)
                elif row.title and axis == 0:
                    panel.set_title(row.title, fontsize=9, loc="left", parse_math=False)
            if row is not None:
                upright_bar(into.add_subplot(grid[number, 3]), row)
        if self.title:
            into.suptitle(self.title, fontsize=9, x=0.01, ha="left", parse_math=False)

    @property
    def _sides(self) -> tuple[int, ...]:
        return self.pixels.shape[:3]

    @property
    def _tall(self) -> float:
        """Inches of a plane: as many as the highest needs, where they are all as wide as there is room for."""
        lengths = [side * step for side, step in zip(self._sides, self.spacing, strict=True)]
        needed = [ACROSS * lengths[down] / lengths[across] for down, across in map(_others, range(3))]
        return min(max(*needed, LOWEST), HIGHEST)

    def _plane(self, panel: Any, axis: int, peak: Sequence[int], row: MapRow | None) -> None:
        """One slice, with the map of a row on it, and lines through the place."""
        down, across = _others(axis)
        picture = np.ascontiguousarray(np.take(self.pixels, peak[axis], axis))
        if row is not None:
            picture = overlay(picture, np.take(row.values, peak[axis], axis), style=_whole(row.values, row.style))
        shape = self.spacing[down] / self.spacing[across]
        panel.imshow(picture, interpolation="nearest", aspect=shape, origin="upper")
        if row is not None and row.region is not None:
            _edge(panel, np.take(row.region, peak[axis], axis))
        panel.set_anchor("N")
        for numbers, length in ((panel.yaxis, self._sides[down]), (panel.xaxis, self._sides[across])):
            numbers.get_major_locator().set_params(integer=True)
            if length == 1:
                numbers.set_ticks([0])
        line = {"color": "white", "linewidth": 0.8, "alpha": 0.75, "linestyle": (0, (4, 3))}
        panel.axhline(peak[down], **line)
        panel.axvline(peak[across], **line)
        panel.set_ylabel(self.names[down], fontsize=8)


def walk_through(pixels: np.ndarray, row: MapRow, *, axis: int = 0) -> list[np.ndarray]:
    """Slices along an axis with the map on them, evenly chosen where there are more than 48.

    Args:
        pixels: (A, B, C, 3) uint8; row: a map (A, B, C), with the region that is outlined, if there is one.

    Returns:
        (H, W, 3) uint8 pictures of one size.
    """
    _check(pixels, row.values)
    style, count = _whole(row.values, row.style), row.values.shape[axis]
    places = np.unique(np.linspace(0, count - 1, min(FRAMES, count)).round().astype(int))
    frames = []
    for place in places:
        plain, values = (np.ascontiguousarray(np.take(each, place, axis)) for each in (pixels, row.values))
        frame = _enlarged(overlay(plain, values, style=style))
        frames.append(frame if row.region is None else outlined(frame, np.take(row.region, place, axis)))
    return frames


def animation(frames: Sequence[np.ndarray], milliseconds: int = 120) -> bytes:
    """Pictures of one size as an animated WebP that begins again at its end."""
    from PIL import Image

    pictures = [Image.fromarray(frame) for frame in frames]
    buffer = io.BytesIO()
    pictures[0].save(
        buffer, "WEBP", save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0, quality=80
    )
    return buffer.getvalue()


def strongest(map_: np.ndarray) -> tuple[int, ...]:
    """The place of the largest magnitude; of several, the one nearest to their centre."""
    strength = np.abs(map_)
    places = np.argwhere(strength >= strength.max())
    nearest = np.linalg.norm(places - places.mean(axis=0), axis=1).argmin()
    return tuple(int(place) for place in places[nearest])


def _check(pixels: np.ndarray, map_: np.ndarray) -> None:
    if map_.ndim != 3 or pixels.shape != (*map_.shape, 3):
        raise OptionError(f"a map of {map_.shape} on pixels of {pixels.shape}; expected (A, B, C) on (A, B, C, 3)")
    if not np.isfinite(map_).all():
        raise OptionError("the map has NaN or infinite values and cannot be drawn")


def _whole(map_: np.ndarray, style: Style) -> Style:
    """The style with the whole map's scale, which all slices share."""
    return replace(style, limits=style.limits or limits_of(map_))


def _edge(panel: Any, inside: np.ndarray) -> None:
    """A line along the sides of the places (H, W) that are inside, white on black as on photos."""
    from matplotlib.collections import LineCollection

    wide = np.pad(inside, 1)
    level = np.argwhere(wide[1:, 1:-1] != wide[:-1, 1:-1]) - 0.5  # above each row, and below the last
    upright = np.argwhere(wide[1:-1, 1:] != wide[1:-1, :-1]) - 0.5
    lines = [((x, y), (x + 1, y)) for y, x in level] + [((x, y), (x, y + 1)) for y, x in upright]
    for colour, width in (("black", 2.6), ("white", 1.2)):
        panel.add_collection(LineCollection(lines, colors=colour, linewidths=width, capstyle="projecting"))


def _others(axis: int) -> tuple[int, int]:
    """The axes of a slice: down, and across."""
    down, across = (other for other in range(3) if other != axis)
    return down, across


def _enlarged(picture: np.ndarray) -> np.ndarray:
    """Each pixel as a block, so that the longer side has about 320."""
    factor = max(1, LEAST // max(picture.shape[:2]))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)
