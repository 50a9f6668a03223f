"""A map of a signal as a picture: the curves of its channels, coloured by the map."""

from __future__ import annotations

from typing import Any

import numpy as np

from explainers.errors import OptionError
from explainers.render.style import DIVERGING, SEQUENTIAL, Style, coloured, scaled

MOST = 8  # channels that are drawn
POINTS = 4000  # of a curve; of more, every stretch keeps its lowest and highest


def signal_chart(
    values: np.ndarray, map_: np.ndarray, *, rate: float | None = None, style: Style | None = None
) -> np.ndarray:
    """Channels below each other over bands in the map's colours, and the map itself as the last curve.

    Args:
        values: (C, L), of which the first eight channels are drawn; map_: (L,), or (C, L) with a map for each channel.
        rate: samples per second, for an axis in seconds.

    Returns:
        (H, W, 3) uint8.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style = style or Style()
    if map_.shape not in (values.shape, values.shape[1:]) or values.ndim != 2:
        raise OptionError(f"a map of {map_.shape} for a signal of {values.shape}; expected (L,) or (C, L) for (C, L)")
    rows = min(len(values), MOST)
    time = np.arange(values.shape[1]) / (rate or 1)
    fig = Figure(figsize=(9.6, 1.3 + 1.1 * rows + 0.9), layout="constrained", dpi=100)
    panels = np.atleast_1d(fig.subplots(rows + 1, 1, sharex=True, height_ratios=[*[1.1] * rows, 0.9]))
    own = map_.ndim == 2
    for number in range(rows):
        panel, one = panels[number], map_[number] if own else map_
        place, curve = thinned(time, values[number])
        low, high = float(curve.min()), float(curve.max())
        margin = 0.08 * ((high - low) or 1.0)
        _band(panel, one, style, (time[0], time[-1], low - margin, high + margin))
        panel.plot(place, curve, color="black", linewidth=0.8)
        panel.set_ylim(low - margin, high + margin)
        panel.set_ylabel(f"channel {number}" if len(values) > 1 else "signal", fontsize=8)
        _plain(panel)
    last = panels[-1]
    for one in map_[:rows] if own else map_[None]:
        last.plot(*thinned(time, one), color="0.25", linewidth=0.9)
    last.set_ylabel("map", fontsize=8)
    last.set_xlabel("seconds" if rate else "sample", fontsize=8)
    last.set_xlim(time[0], time[-1] if len(time) > 1 else 1)
    _plain(last)
    if len(values) > rows:
        panels[0].set_title(f"the first {rows} of {len(values)} channels", fontsize=9)
    _colour_bar(fig, panels, map_, style)
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def _band(panel: Any, map_: np.ndarray, style: Style, extent: tuple[float, float, float, float]) -> None:
    """The map's colours behind a curve, as strong as they are on photos."""
    colour, cover = coloured(map_[None], style)
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


def _colour_bar(fig: Any, panels: np.ndarray, map_: np.ndarray, style: Style) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    from explainers.render.style import limits_of

    low, high = style.limits or limits_of(map_)
    signed = scaled(map_.reshape(1, -1), style)[2]
    if signed:
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    scale = ScalarMappable(Normalize(low, high), cmap=style.cmap or (DIVERGING if signed else SEQUENTIAL))
    bar = fig.colorbar(scale, ax=panels.tolist(), shrink=0.9, aspect=30)
    bar.ax.tick_params(labelsize=7)


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


def _plain(panel: Any) -> None:
    panel.tick_params(labelsize=7)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
