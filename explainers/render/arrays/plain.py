"""Slices and curves as picture files, without axes or margins: whatever lies over them lies where it belongs."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from explainers.render.arrays.signals import MOST as CHANNELS, thinned
from explainers.render.arrays.volumes import gray_of

LARGEST, LEAST = 256, 192  # pixels of a slice's longer side
QUALITY = 80
ROW = 112  # pixels of a channel's height


def gray_slices(values: np.ndarray, window: Sequence[float] | None) -> np.ndarray:
    """(C, S, H, W) as (S, H, W, 3) uint8: what the window shows, where there is one."""
    if window is None:
        return gray_of(values)
    low, high = window
    gray = np.round(np.clip((values[0] - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=-1)


def true_size(height: int, width: int, spacing: Sequence[float]) -> tuple[int, int]:
    """(height, width) of the picture of a slice whose pixels lie apart as they do."""
    tall, wide = height * spacing[0], width * spacing[1]
    longest = min(LARGEST, max(LEAST, height, width))
    factor = longest / max(tall, wide)
    return max(1, round(tall * factor)), max(1, round(wide * factor))


def slice_file(pixels: np.ndarray, size: tuple[int, int]) -> bytes:
    """(H, W, 3) uint8 as JPEG of a size."""
    image = Image.fromarray(np.ascontiguousarray(pixels)).resize(size[::-1], Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return buffer.getvalue()


def curve_size(channels: int, side: int) -> tuple[int, int]:
    """(height, width) of the picture of a signal."""
    return max(2 * ROW, ROW * min(channels, CHANNELS)), 2 * side


def curve_file(values: np.ndarray, size: tuple[int, int]) -> bytes:
    """(C, L) as black curves on white, PNG: its channels below each other, each from its least to its largest value."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows, length = min(len(values), CHANNELS), values.shape[1]
    fig = Figure(figsize=(size[1] / 100, size[0] / 100), dpi=100)
    for number in range(rows):
        panel = fig.add_axes((0, 1 - (number + 1) / rows, 1, 1 / rows))
        place, curve = thinned(np.arange(length) + 0.5, values[number])
        low, high = float(curve.min()), float(curve.max())
        margin = 0.08 * ((high - low) or 1.0)
        panel.plot(place, curve, color="black", linewidth=1)
        panel.set_xlim(0, length)
        panel.set_ylim(low - margin, high + margin)
        panel.axis("off")
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).convert("L").save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
