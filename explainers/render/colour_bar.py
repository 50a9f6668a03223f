"""The colours of a map beside the values that they stand for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from explainers.render.style import DIVERGING, SEQUENTIAL, Style, colours, limits_of

BAR, TIP = 7, 5  # pixels: how high it is, and how long its ends are where values lie beyond them
GAP = 6  # pixels between numbers
EDGE = (110, 110, 110)


@dataclass(frozen=True)
class Scale:
    """What colours say.

    low, high: the values at the ends of the colour map, of a signed map alike on both sides of 0; cmap: its name;
    below, above: whether the map has values beyond an end, which have its colour; mark: the value from which a region
    is outlined.
    """

    low: float
    high: float
    cmap: str
    below: bool = False
    above: bool = False
    mark: float | None = None

    @property
    def ticks(self) -> tuple[float, float, float]:
        """The values that are named: both ends, and the middle."""
        return self.low, (self.low + self.high) / 2, self.high

    @property
    def numbers(self) -> tuple[str, str, str]:
        """The same as text: three digits of the larger end, and as far behind the point of the others."""
        digits = 2 - math.floor(math.log10(max(abs(self.low), abs(self.high))))
        low, middle, high = (f"{round(each, digits) + 0.0:.3g}".replace("-", "−") for each in self.ticks)
        return low, middle, high


def scale_of(map_: np.ndarray, style: Style | None = None) -> Scale | None:
    """The scale that a map is drawn on; None where it has none: of a map that is one value, or of pictures of channels
    (C, H, W)."""
    style = style or Style()
    if map_.ndim != 2:
        return None
    low, high = style.limits or limits_of(map_)
    signed = low < 0 if style.signed is None else style.signed
    if signed:
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    if not high > low:
        return None
    beyond = bool(map_.min() < low), bool(map_.max() > high)
    base = 0.0 if signed else low
    mark = None if style.outline is None else base + style.outline * (high - base)
    return Scale(low, high, style.cmap or (DIVERGING if signed else SEQUENTIAL), *beyond, mark)


def draw_bar(draw: Any, scale: Scale, place: tuple[int, int], width: int, font: Any) -> None:
    """A bar with its numbers below it on a picture of Pillow.

    Args:
        draw: of the picture; place: (left, top) of the bar; font: of the numbers. The middle one is left out where
            three do not fit.
    """
    left, top = place
    right, bottom = left + width - 1, top + BAR - 1
    table = colours(scale.cmap)
    first, last = left + TIP * scale.below, right - TIP * scale.above
    for x in range(left, right + 1):
        position = min(1.0, max(0.0, (x - first) / max(1, last - first)))
        inset = round((BAR / 2) * max(first - x, x - last, 0) / TIP)
        if 2 * inset < BAR:
            draw.line([(x, top + inset), (x, bottom - inset)], fill=tuple(table[round(255 * position)].tolist()))
    numbers = scale.numbers
    lengths = [font.getlength(each) for each in numbers]
    places = [left, (first + last) / 2 - lengths[1] / 2, right + 1 - lengths[2]]
    gaps = [places[side + 1] - places[side] - lengths[side] for side in (0, 1)]
    fits = min(gaps) >= GAP
    for number, x, wanted in zip(numbers, places, (True, fits, True), strict=True):
        if wanted:
            draw.text((round(x), bottom + 2), number, fill="black", font=font)
    if scale.mark is not None:
        x = round(first + (scale.mark - scale.low) / (scale.high - scale.low) * (last - first))
        draw.line([(x, top - 2), (x, bottom + 2)], fill="black")


def add_bar(axis: Any, scale: Scale, inches: tuple[float, float], across: float) -> None:
    """A bar with its numbers below a picture of matplotlib.

    Args:
        axis: of the picture; inches: its (width, height); across: inches of the bar, whose middle is the picture's.
    """
    width, height = inches
    thick, share = 0.07 / height, across / width
    below = axis.inset_axes(((1 - share) / 2, -0.06 / height - thick, share, thick))
    bar = filled_bar(below, scale, orientation="horizontal", extendfrac=0.05 / across)
    bar.outline.set_linewidth(0.4)
    bar.outline.set_edgecolor([part / 255 for part in EDGE])
    below.tick_params(labelsize=7, length=0, pad=2)
    for label, side in zip(below.get_xticklabels(), ("left", "center", "right"), strict=True):
        label.set_horizontalalignment(side)
    if scale.mark is not None:
        below.axvline(scale.mark, color="black", linewidth=1)


def filled_bar(axis: Any, scale: Scale, **more: Any) -> Any:
    """A colour bar of matplotlib that fills axes, with the numbers of its ends and middle, pointed where values lie
    beyond an end."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    bar = axis.figure.colorbar(
        ScalarMappable(Normalize(scale.low, scale.high), cmap=scale.cmap),
        cax=axis,
        extend=extend[scale.below, scale.above],
        ticks=scale.ticks,
        **more,
    )
    bar.set_ticklabels(scale.numbers)
    return bar
