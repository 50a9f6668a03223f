"""How maps become colours: scale, colour map, opacity."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from explainers.errors import OptionError

# Lightness only rises in inferno, also for people who tell red from green badly; and beside photographs none of the
# even maps keeps "stronger is further from the bare photo" as often while its colours are rare in photographs. The
# light middle of RdBu_r is where signed maps are transparent.
SEQUENTIAL, DIVERGING = "inferno", "RdBu_r"
OPACITY = 0.7  # of the strongest values


@dataclass(frozen=True)
class Style:
    """The look of heat maps.

    cmap: a matplotlib colour map (None: "inferno", or the diverging "RdBu_r" for signed maps); opacity: 0 … 1 of the
    strongest values; fade: let weak values be transparent in proportion, so that the photo keeps its colours where
    nothing was found; limits: (low, high) of the scale (None: each map's own, with the strongest half percent of its
    pixels beyond the end, so that single pixels do not set it); signed: whether 0 is the middle of the scale (None:
    where a map has negative values); outline: a share of the scale, 0 … 1, from which on the region is outlined, of
    signed maps from 0 to the upper end (None: no outline).
    """

    cmap: str | None = None
    opacity: float = OPACITY
    fade: bool = True
    limits: tuple[float, float] | None = None
    signed: bool | None = None
    outline: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.opacity <= 1:
            raise OptionError(f"opacity={self.opacity}; expected 0 … 1")
        if self.outline is not None and not 0 < self.outline <= 1:
            raise OptionError(f"outline={self.outline}; expected a share of the scale, above 0 and at most 1")
        if self.limits is not None and not self.limits[0] <= self.limits[1]:
            raise OptionError(f"limits={self.limits}; expected (low, high)")
        if self.cmap is not None:
            colours(self.cmap)


def limits_of(values: np.ndarray, *, quantile: float = 0.995) -> tuple[float, float]:
    """The scale (low, high) of one map: signed maps by the magnitudes' quantile, others from the minimum to theirs.

    A quantile is a value that the map has, the next higher one: between a peak and nothing, no value says anything.
    """
    low, high = float(values.min()), float(values.max())
    end = float(np.quantile(np.abs(values) if low < 0 else values, quantile, method="higher"))
    if low < 0:
        bound = end or max(-low, high)
        return -bound, bound
    return low, end if end > low else high


def scaled(values: np.ndarray, style: Style) -> tuple[np.ndarray, np.ndarray, bool]:
    """A map (H, W) as positions in the colour map 0 … 1, strengths 0 … 1, and whether it is signed.

    Raises:
        OptionError: NaN or infinite values.
    """
    values = np.asarray(values, np.float32)
    if not np.isfinite(values).all():
        raise OptionError("the map has NaN or infinite values and cannot be drawn")
    low, high = style.limits or limits_of(values)
    signed = low < 0 if style.signed is None else style.signed
    if signed:
        bound = max(abs(low), abs(high))
        strength = np.clip(values / bound, -1, 1) if bound > 0 else np.zeros_like(values)
        return 0.5 + strength / 2, np.abs(strength), True
    strength = np.clip((values - low) / (high - low), 0, 1) if high > low else np.zeros_like(values)
    return strength, strength, False


@lru_cache(maxsize=16)
def colours(name: str) -> np.ndarray:
    """(256, 3) uint8 of a matplotlib colour map.

    Raises:
        OptionError: there is none of this name.
    """
    import difflib

    import matplotlib

    if name not in matplotlib.colormaps:
        close = difflib.get_close_matches(name, list(matplotlib.colormaps), n=4, cutoff=0.7)
        raise OptionError(
            f"no colour map {name!r}; " + (f"close are {', '.join(close)}" if close else "see matplotlib")
        )
    table = matplotlib.colormaps[name](np.linspace(0, 1, 256))[:, :3]
    return np.round(table * 255).astype(np.uint8)


def coloured(values: np.ndarray, style: Style) -> tuple[np.ndarray, np.ndarray]:
    """A map (H, W) as colours (H, W, 3) uint8 and as opacities (H, W) 0 … style.opacity."""
    position, strength, signed = scaled(values, style)
    table = colours(style.cmap or (DIVERGING if signed else SEQUENTIAL))
    # The square root lets a value of half the maximum still stand out. Weak values of signed maps are near white, which
    # would veil a dark photo where next to nothing was found: up to a quarter they fade in proportion.
    faded = np.minimum(np.sqrt(strength), 2 * strength) if signed else np.sqrt(strength)
    cover = faded if style.fade else np.full_like(strength, float(strength.any()))
    return table[np.round(position * 255).astype(np.uint8)], cover * style.opacity
