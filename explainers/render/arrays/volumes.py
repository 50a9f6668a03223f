"""A map of a volume as pictures: three slices through its maximum, and a walk through its slices."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from explainers.errors import OptionError
from explainers.render.overlay import overlay
from explainers.render.style import DIVERGING, SEQUENTIAL, Style, limits_of

BRIGHT = (0.01, 0.995)  # quantiles of the values that are black and white
LEAST = 320  # pixels of the longer side of a slice
FRAMES = 48  # of a walk at most


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


def slices_through(
    pixels: np.ndarray,
    map_: np.ndarray,
    *,
    names: Sequence[str] = ("axis 0", "axis 1", "axis 2"),
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    style: Style | None = None,
) -> np.ndarray:
    """Three planes through the map's strongest place, each beside the same one without the map, with a colour bar.

    Args:
        pixels: (A, B, C, 3) uint8; map_: (A, B, C); names: of the axes, for labels; spacing: how far places lie apart
            along each axis, so that slices have their true proportions.

    Returns:
        (H, W, 3) uint8.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style = _with_limits(pixels, map_, style)
    peak = strongest(map_)
    fig = Figure(figsize=(9.6, 6.6), layout="constrained", dpi=100)
    panels = fig.subplots(2, 3)
    for axis in range(3):
        plain, covered = _slice(pixels, map_, axis, peak[axis], style)
        down, across = (other for other in range(3) if other != axis)
        shape = spacing[down] / spacing[across]
        for row, picture in enumerate((plain, covered)):
            panel = panels[row][axis]
            panel.imshow(picture, interpolation="nearest", aspect=shape, origin="upper")
            _crosshair(panel, peak[down], peak[across])
            panel.set_ylabel(names[down], fontsize=8)
            panel.set_xlabel(names[across], fontsize=8)
            panel.tick_params(labelsize=7)
        panels[0][axis].set_title(f"{names[axis]} = {peak[axis]} of {map_.shape[axis]}", fontsize=9, parse_math=False)
    _colour_bar(fig, panels, style)
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def walk_through(
    pixels: np.ndarray, map_: np.ndarray, *, axis: int = 0, style: Style | None = None
) -> list[np.ndarray]:
    """Slices along an axis with the map on them, evenly chosen where there are more than 48.

    Args:
        pixels: (A, B, C, 3) uint8; map_: (A, B, C).

    Returns:
        (H, W, 3) uint8 pictures of one size.
    """
    style = _with_limits(pixels, map_, style)
    count = map_.shape[axis]
    places = np.unique(np.linspace(0, count - 1, min(FRAMES, count)).round().astype(int))
    return [_enlarged(_slice(pixels, map_, axis, int(place), style)[1]) for place in places]


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


def _with_limits(pixels: np.ndarray, map_: np.ndarray, style: Style | None) -> Style:
    """The style with the whole map's scale, which all slices share."""
    if map_.ndim != 3 or pixels.shape != (*map_.shape, 3):
        raise OptionError(f"a map of {map_.shape} on pixels of {pixels.shape}; expected (A, B, C) on (A, B, C, 3)")
    if not np.isfinite(map_).all():
        raise OptionError("the map has NaN or infinite values and cannot be drawn")
    style = style or Style()
    return replace(style, limits=style.limits or limits_of(map_))


def _slice(pixels: np.ndarray, map_: np.ndarray, axis: int, place: int, style: Style) -> tuple[np.ndarray, np.ndarray]:
    """A slice, and the same with its map on it."""
    plain = np.ascontiguousarray(np.take(pixels, place, axis))
    return plain, overlay(plain, np.take(map_, place, axis), style=style)


def _enlarged(picture: np.ndarray) -> np.ndarray:
    """Each pixel as a block, so that the longer side has about 320."""
    factor = max(1, LEAST // max(picture.shape[:2]))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def _crosshair(panel: object, row: int, column: int) -> None:
    """Lines through a place that leave it free."""
    line = {"color": "white", "linewidth": 0.8, "alpha": 0.75, "linestyle": (0, (4, 3))}
    panel.axhline(row, **line)  # type: ignore[attr-defined]
    panel.axvline(column, **line)  # type: ignore[attr-defined]


def _colour_bar(fig: object, panels: np.ndarray, style: Style) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    assert style.limits is not None
    low, high = style.limits
    signed = low < 0 if style.signed is None else style.signed
    if signed:
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    scale = ScalarMappable(Normalize(low, high), cmap=style.cmap or (DIVERGING if signed else SEQUENTIAL))
    bar = fig.colorbar(scale, ax=panels[1, :].tolist(), shrink=0.9, aspect=18)  # type: ignore[attr-defined]
    bar.ax.tick_params(labelsize=7)
