"""Pixels of any depth as eight bits a channel on white, with words on what was assumed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

STRIP = 1 << 20  # pixels worked on at once, so that floats of a large picture are never held whole
DEPTHS = (8, 10, 12, 14, 16)


def eight_bits(raw: np.ndarray, *, white_is_zero: bool = False) -> tuple[np.ndarray, list[str]]:
    """(H, W, 3) uint8 RGB, and notes on how values became gray levels.

    Values of 16 bits are those of cameras and scanners with 10, 12 or 14 as often: where the highest value leaves
    bits unused, white is what the used bits can hold, and a note says so. Floats outside 0 … 1 and signed or wide
    integers have no white of their own: the lowest is black and the highest white, and a note says so.

    Args:
        raw: (H, W) gray, or (H, W, K) gray, gray and alpha, RGB or RGBA for K = 1 … 4; any numbers.
        white_is_zero: the lowest value is white.
    """
    import numpy as np

    raw = raw[..., None] if raw.ndim == 2 else raw
    height, width, channels = raw.shape
    colours = channels - (channels in (2, 4))
    black, white, notes = _range(raw[..., :colours])
    opaque = _white_of_alpha(raw[..., colours:], white) if colours < channels else 1.0
    pixels = np.empty((height, width, 3), np.uint8)
    for rows in _strips(height, width):
        values = (_finite(raw[rows, :, :colours]) - black) / (white - black)
        values = 1 - values if white_is_zero else values
        if colours < channels:
            alpha = (_finite(raw[rows, :, colours:]) / opaque).clip(0, 1)
            values = values * alpha + (1 - alpha)
        pixels[rows] = np.round(values.clip(0, 1) * 255).astype(np.uint8)
    return pixels, notes


def _range(colours: np.ndarray) -> tuple[float, float, list[str]]:
    """The values of black and white, and notes."""
    import numpy as np

    kind = colours.dtype
    if kind in (np.uint8, np.bool_):
        return 0.0, 255.0 if kind == np.uint8 else 1.0, []
    if kind == np.uint16:
        highest = int(colours.max())
        bits = next(depth for depth in DEPTHS if highest < 1 << depth)
        note = f"16-bit values up to {highest:,} were read as {bits} bits: white is {(1 << bits) - 1:,}"
        return 0.0, float((1 << bits) - 1), [note] if highest > 0 and bits < 16 else []
    strips = [_finite(colours[rows]) for rows in _strips(*colours.shape[:2])]
    low, high = min(float(part.min()) for part in strips), max(float(part.max()) for part in strips)
    if kind.kind == "f" and low >= 0 and high <= 1:
        return 0.0, 1.0, []
    note = f"values {low:.6g} … {high:.6g} were stretched: the lowest is black, the highest white"
    return low, high if high > low else low + 1, [note]


def _white_of_alpha(alpha: np.ndarray, white: float) -> float:
    """What is opaque: the colours' white, or the type's highest value where alpha goes beyond it."""
    import numpy as np

    if alpha.dtype.kind == "f":
        return 1.0
    full = float(np.iinfo(alpha.dtype).max)
    return white if alpha.dtype == np.uint16 and float(alpha.max()) <= white else full


def _finite(values: np.ndarray) -> np.ndarray:
    """As float32, infinite and undefined values as 0."""
    import numpy as np

    wide = values.astype(np.float64 if values.dtype.itemsize > 2 else np.float32)
    return np.nan_to_num(wide, nan=0, posinf=0, neginf=0) if values.dtype.kind == "f" else wide


def _strips(height: int, width: int) -> Iterator[slice]:
    step = max(1, STRIP // max(width, 1))
    for first in range(0, height, step):
        yield slice(first, first + step)
