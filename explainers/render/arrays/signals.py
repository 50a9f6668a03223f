"""Maps of a signal as a picture: the curves of its channels, coloured by the map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from explainers.errors import OptionError
from explainers.render.arrays.blocks import fewer, largest, stretches
from explainers.render.arrays.pictures import MapRow, lines_of, upright_bar
from explainers.render.style import coloured, limits_of

MOST = 8  # channels that are drawn
POINTS = 4000  # of a curve; of more, every stretch keeps its lowest and highest
BANDS = 300  # colours side by side: fewer than a picture has pixels, so that each of them is seen
BAR, FEW = (1.0, 0.06), 8  # of a region: where above a panel, in its heights; stretches whose ends have lines
CHANNEL, MAP, AROUND = 1.1, 0.9, 0.5  # inches


@dataclass(frozen=True, eq=False)
class Curves:
    """Channels below each other, and maps of them.

    A single map colours bands behind the channels and is the last curve; several have a panel each, their curve over
    their colours. Where there are more samples than colours side by side, each colour is that of the largest magnitude,
    so that no peak is lost. A white bar above each panel is the region that is explained.

    values: (C, L), of which the first eight channels are drawn; rows: maps (L,), or (C, L) with one for each channel;
    rate: samples per second, for an axis in seconds; title: above all of it.
    """

    values: np.ndarray
    rows: Sequence[MapRow]
    rate: float | None = None
    title: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if self.values.ndim != 2 or row.values.shape not in (self.values.shape, self.values.shape[1:]):
                raise OptionError(
                    f"a map of {row.values.shape} for a signal of {self.values.shape}; expected (L,) or (C, L)"
                )

    @property
    def height(self) -> float:
        """Inches."""
        titles = lines_of(self.title) + sum(lines_of(row.title) for row in self.rows)
        return AROUND + titles + CHANNEL * min(len(self.values), MOST) + MAP * len(self.rows)

    def draw(self, into: Any) -> None:
        """Into an empty figure or subfigure of matplotlib."""
        channels = min(len(self.values), MOST)
        time = np.arange(self.values.shape[1]) / (self.rate or 1)
        count = channels + len(self.rows)
        heights = [CHANNEL] * channels + [MAP] * len(self.rows)
        grid = into.add_gridspec(count, 2, width_ratios=(60, 1), height_ratios=heights)
        panels = [into.add_subplot(grid[number, 0]) for number in range(count)]
        one = self.rows[0] if len(self.rows) == 1 else None
        for number, panel in enumerate(panels[:channels]):
            place, curve = thinned(time, self.values[number])
            low, high = _ends(curve)
            if one is not None:
                own = one.values[number] if one.values.ndim == 2 else one.values
                _band(panel, own, one, (time[0], time[-1], low, high))
            panel.plot(place, curve, color="black", linewidth=0.8)
            panel.set_ylim(low, high)
            panel.set_ylabel(f"channel {number}" if len(self.values) > 1 else "signal", fontsize=8)
        for number, (panel, row) in enumerate(zip(panels[channels:], self.rows, strict=True), start=channels):
            self._map(panel, row, time, bands=one is None)
            upright_bar(into.add_subplot(grid[number if one is None else slice(None), 1]), row)
        region = next((row.region for row in self.rows if row.region is not None), None)
        for panel in panels:
            if region is not None:
                _mark(panel, region, time)
            panel.set_xlim(time[0], time[-1] if len(time) > 1 else 1)
            panel.tick_params(labelsize=7, labelbottom=panel is panels[-1])
            for side in ("top", "right"):
                panel.spines[side].set_visible(False)
        panels[-1].set_xlabel("seconds" if self.rate else "sample", fontsize=8)
        told = f"the first {channels} of {len(self.values)} channels" if len(self.values) > channels else ""
        title = "\n".join(filter(None, (self.title, told)))
        if title:
            panels[0].set_title(title, fontsize=9, loc="left", parse_math=False)

    def _map(self, panel: Any, row: MapRow, time: np.ndarray, *, bands: bool) -> None:
        """The curve of a map, or those of all channels."""
        curves = [thinned(time, each) for each in np.atleast_2d(row.values)[:MOST]]
        low, high = _ends(np.concatenate([curve for _, curve in curves]))
        if bands:
            flat = largest(row.values) if row.values.ndim == 2 else row.values
            _band(panel, flat, row, (time[0], time[-1], low, high))
        for place, curve in curves:
            panel.plot(place, curve, color="black" if bands else "0.25", linewidth=0.9)
        panel.set_ylim(low, high)
        panel.set_ylabel("map", fontsize=8)
        if row.title:
            panel.set_title(row.title, fontsize=9, loc="left", parse_math=False)


def _mark(panel: Any, region: np.ndarray, time: np.ndarray) -> None:
    """A bar above the stretches of a region (L,), with lines at their ends where these are few."""
    step = time[1] - time[0] if len(time) > 1 else 1
    spans = [(time[0] + (start - 0.5) * step, (stop - start) * step) for start, stop in stretches(region)]
    along = panel.get_xaxis_transform()
    panel.broken_barh(spans, BAR, transform=along, facecolor="white", edgecolor="black", linewidth=0.8, clip_on=False)
    for start, width in spans if len(spans) <= FEW else []:
        for end in (start, start + width):
            panel.axvline(end, color="0.2", linewidth=0.8, linestyle=(0, (4, 2)), zorder=3)


def thinned(place: np.ndarray, curve: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A curve with no more points than a picture shows: of each stretch the lowest and the highest value."""
    if len(curve) <= POINTS:
        return place, curve
    length = -(-len(curve) // (POINTS // 2))
    chosen: list[int] = []
    for start in range(0, len(curve), length):
        part = curve[start : start + length]
        chosen += sorted({start + int(part.argmin()), start + int(part.argmax())})
    return place[chosen], curve[chosen]


def _ends(curve: np.ndarray) -> tuple[float, float]:
    """Of an axis, with a margin."""
    low, high = float(curve.min()), float(curve.max())
    margin = 0.08 * ((high - low) or 1.0)
    return low - margin, high + margin


def _band(panel: Any, map_: np.ndarray, row: MapRow, extent: tuple[float, float, float, float]) -> None:
    """The map's colours behind a curve, as strong as they are on photos."""
    style = replace(row.style, limits=row.style.limits or limits_of(row.values))  # of all samples and channels
    colour, cover = coloured(fewer(map_, BANDS, 0)[None], style)
    picture = np.dstack([colour.astype(np.float32) / 255, cover])
    left, right, low, high = extent
    step = (right - left) / max(1, map_.size - 1)
    panel.imshow(
        picture,
        extent=(left - step / 2, right + step / 2, low, high),
        aspect="auto",
        interpolation="nearest",
        origin="lower",
        zorder=0,
    )
