"""Figures of an evaluation: curves with bands, values with intervals, how metrics agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from explainers.render.drawing import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Line", "Trace", "agreement_chart", "curve_chart", "dot_chart", "line_panels", "save_figure"]

GRAY = "0.55"
# Six of the eight colours of Okabe and Ito (2008), which people tell apart whatever cones they have; the report has the
# same. Black and yellow are hard to see on one of two backgrounds.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9")
STYLES = ("-", "--", ":", "-.")


class Line(Protocol):
    """A curve."""

    @property
    def shares(self) -> np.ndarray:
        """(n,) places."""

    @property
    def values(self) -> np.ndarray:
        """(n,) heights."""


def curve_chart(
    curves: Mapping[str, tuple[Line, Line | None, Line | None]],
    *,
    title: str = "",
    gray: Sequence[str] = (),
    across: str = "",
    heights: str = "",
    within: tuple[float, float] | None = None,
) -> Figure:
    """Mean curves with their 95 % bands.

    Args:
        curves: for each explainer its mean and the ends of its band; gray: explainers drawn in the background; across,
            heights: what the axes show; within: the range that heights can have, where it is known.
    """
    fig = new_figure((7.2, 4.4))
    axes = fig.subplots()
    lively = [name for name in curves if name not in gray]
    for name, (mean, low, high) in curves.items():
        colour, style = _look(lively.index(name)) if name in lively else (GRAY, STYLES[gray.index(name) % len(STYLES)])
        axes.plot(mean.shares, mean.values, label=name, color=colour, linestyle=style, linewidth=1.4)
        if low is not None and high is not None:
            axes.fill_between(mean.shares, low.values, high.values, color=colour, alpha=0.12, linewidth=0)
    axes.set_title(title, fontsize=10, parse_math=False)
    axes.set_xlabel(across)
    axes.set_ylabel(heights, parse_math=False)
    axes.set_xlim(0, 1)
    axes.set_ylim(*_fitted([mean.values for mean, _, _ in curves.values()], axes.get_ylim(), within))
    _plain(axes)
    fig.legend(fontsize=8, frameon=False, loc="outside right upper")
    return fig


def dot_chart(rows: Sequence[Mapping[str, Any]], *, titles: Mapping[str, str], gray: Sequence[str] = ()) -> Figure:
    """Values with 95 % intervals, a panel per score.

    Args:
        rows: dicts of `explainer`, `score`, `value`, `low`, `high`, the explainers from the top down; titles: of the
            panels, by score; gray: explainers drawn in the background.
    """
    names = list(dict.fromkeys(row["explainer"] for row in rows))
    scores = [score for score in titles if any(row["score"] == score for row in rows)]
    if not scores:
        fig = new_figure((4.2, 0.8))
        fig.text(0.5, 0.5, "no map has a value; the table says why", ha="center", va="center", fontsize=9)
        return fig
    across = min(4, len(scores))
    down = -(-len(scores) // across)
    fig = new_figure((2.6 * across + 1.6, (0.19 * len(names) + 0.9) * down))
    panels = fig.subplots(down, across, sharey=True, squeeze=False)
    for panel in panels.flat[len(scores) :]:
        panel.set_axis_off()
    for panel, score in zip(panels.flat, scores, strict=False):
        for row in (row for row in rows if row["score"] == score):
            place = len(names) - names.index(row["explainer"])
            colour = GRAY if row["explainer"] in gray else COLOURS[0]
            if row["low"] is not None:
                panel.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=1.6, alpha=0.6)
            panel.plot([row["value"]], [place], "o", color=colour, markersize=4)
        panel.set_yticks(range(len(names), 0, -1), names, fontsize=8)
        panel.set_title(titles[score], fontsize=9, parse_math=False)
        panel.grid(axis="x", alpha=0.3)
        _plain(panel)
    return fig


def agreement_chart(table: np.ndarray, labels: Sequence[str]) -> Figure:
    """Rank correlations (S, S) between scores as coloured cells with their numbers."""
    side = 0.5 * len(labels) + 2.2
    fig = new_figure((side, side))
    axes = fig.subplots()
    axes.imshow(table, vmin=-1, vmax=1, cmap="RdBu_r")
    axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=8)
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    for (row, column), value in np.ndenumerate(table):
        if np.isfinite(value):
            shade = "white" if abs(value) > 0.6 else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=6, color=shade)
    axes.set_title("do scores rank alike?", fontsize=9)
    return fig


@dataclass(frozen=True)
class Trace:
    """A line of a panel: (n,) values with the ends of their intervals, NaN where there is none; `background`: one value
    for the whole panel, drawn as a gray line across it."""

    label: str
    values: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    background: bool = False


def line_panels(
    panels: Mapping[str, Sequence[Trace]],
    places: Sequence[float] | Sequence[str],
    *,
    title: str = "",
    axis: str = "",
    within: tuple[float, float] | None = None,
) -> Figure:
    """Lines with 95 % bands side by side, a panel for each title.

    Args:
        panels: title → traces, coloured by their labels; places: of the values, numbers (on a logarithmic axis where
            they span more than a factor of 20), or names; axis: what the numbers are; within: the range that values can
            have, beyond which no band is shown.
    """
    named = any(isinstance(place, str) for place in places)
    x = np.arange(len(places), dtype=float) if named else np.array(places, float)
    labels = list(dict.fromkeys(trace.label for traces in panels.values() for trace in traces if not trace.background))
    faint = list(dict.fromkeys(trace.label for traces in panels.values() for trace in traces if trace.background))
    across = min(3, len(panels))
    down = -(-len(panels) // across)
    fig = new_figure((3.1 * across + 2.2, 2.5 * down + 0.5 + 0.6 * named))
    drawn = fig.subplots(down, across, squeeze=False)
    for panel in drawn.flat[len(panels) :]:
        panel.set_axis_off()
    handles: dict[str, Any] = {}
    for panel, (heading, traces) in zip(drawn.flat, panels.items(), strict=False):
        for trace in traces:
            if trace.background:
                style = STYLES[1 + faint.index(trace.label) % (len(STYLES) - 1)]
                line = panel.axhline(float(trace.values[0]), color=GRAY, linestyle=style, linewidth=1)
            else:
                colour, style = _look(labels.index(trace.label))
                (line,) = panel.plot(x, trace.values, "o", markersize=2.5, color=colour, linestyle=style, linewidth=1.4)
                if trace.low is not None and trace.high is not None:
                    panel.fill_between(x, trace.low, trace.high, color=colour, alpha=0.12, linewidth=0)
            handles.setdefault(trace.label, line)
        panel.set_title(heading, fontsize=9, parse_math=False)
        panel.tick_params(labelsize=8)
        if within is not None:
            low, high = panel.get_ylim()
            margin = 0.03 * (within[1] - within[0])
            panel.set_ylim(max(low, within[0] - margin), min(high, within[1] + margin))
        if named:
            panel.set_xticks(x, [str(place) for place in places], rotation=60, ha="right", fontsize=7)
        else:
            panel.set_xlabel(axis, fontsize=8)
            if x.min() > 0 and x.max() > 20 * x.min():
                panel.set_xscale("log")
            elif (x == x.round()).all():
                panel.xaxis.get_major_locator().set_params(integer=True)
        _plain(panel)
    if len(handles) > 1:
        fig.legend(list(handles.values()), list(handles), fontsize=8, frameon=False, loc="outside right upper")
    if title:
        fig.suptitle(title, fontsize=10, parse_math=False)
    return fig


def _fitted(
    lines: Sequence[np.ndarray], drawn: tuple[float, float], within: tuple[float, float] | None
) -> tuple[float, float]:
    """The ends of an axis that shows all lines, and of their bands no more than half as much again on either side: a
    band over few images may be many times as wide as what is known."""
    low, high = min(float(each.min()) for each in lines), max(float(each.max()) for each in lines)
    room = 0.5 * (high - low) or 0.05 * max(abs(high), 1e-12)
    ends = max(drawn[0], low - room), min(drawn[1], high + room)
    if within is None:
        return ends
    margin = 0.03 * (within[1] - within[0])
    return max(ends[0], within[0] - margin), min(ends[1], within[1] + margin)


def _look(number: int) -> tuple[str, str]:
    """Six colours, then the same with another stroke."""
    return COLOURS[number % len(COLOURS)], STYLES[number // len(COLOURS) % len(STYLES)]


def _plain(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
