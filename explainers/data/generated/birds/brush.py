"""Drawing with smooth edges: closed curves, strokes that taper, noise, and a layer that they are painted on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np
import torch

from explainers.data.images import opencv

Array = np.ndarray
Item = TypeVar("Item")
_FOUR = np.arange(4)
_RIGHT = np.array([1.0, -1.0])
_CIRCLE = np.stack([np.cos(np.arange(24) * (np.pi / 12)), np.sin(np.arange(24) * (np.pi / 12))], axis=1)
FINER = 4  # a pixel is covered by this many squared points
STEPS = 6  # points of a curve between two of those that it is made of


class Draws:
    """The random numbers of one image, from a generator of its own; the same in every size."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self._waiting: list[float] = []

    def number(self, low: float = 0.0, high: float = 1.0) -> float:
        """Evenly spread over low … high."""
        if not self._waiting:
            self._waiting = torch.rand(256, generator=self.generator, dtype=torch.float64).tolist()
        return low + (high - low) * self._waiting.pop()

    def chance(self, share: float) -> bool:
        """True in this share of the cases."""
        return self.number() < share

    def one_of(self, items: Sequence[Item]) -> Item:
        """Each as often as the others."""
        return items[int(self.number() * len(items))]

    def grid(self, rows: int, columns: int) -> Array:
        """(rows, columns) float32, evenly spread over -1 … 1."""
        values: Array = torch.rand(rows, columns, generator=self.generator).mul_(2).sub_(1).numpy()
        return values


def noise(draws: Draws, size: int, rows: int, columns: int, octaves: int = 1) -> Array:
    """(S, S) float32 around 0, mostly within -1 … 1: a random grid made smooth, and finer ones of half the height."""
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        grid = draws.grid(rows << octave, columns << octave)
        total += opencv().resize(grid, (size, size), interpolation=opencv().INTER_CUBIC) * 0.5**octave
    return total


@lru_cache(maxsize=8)
def _weights(steps: int) -> Array:
    """(steps, 4) weights of Catmull and Rom's spline for the points around a piece of it."""
    t = np.arange(steps)[:, None] / steps
    return np.hstack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2]) / 2


def closed_curve(points: Sequence[tuple[float, float]]) -> Array:
    """(6 n, 2) points of a smooth closed curve through n points."""
    given = np.array(points, np.float64)
    around = given[(np.arange(len(given))[:, None] + _FOUR - 1) % len(given)]  # (n, 4, 2)
    curve: Array = (_weights(STEPS) @ around).reshape(-1, 2)
    return curve


def open_curve(points: Sequence[tuple[float, float]]) -> Array:
    """(6 (n - 1) + 1, 2) points of a smooth curve from the first of n points to the last."""
    given = np.array(points, np.float64)
    ends = np.concatenate([2 * given[:1] - given[1:2], given, 2 * given[-1:] - given[-2:-1]])
    around = ends[np.arange(len(given) - 1)[:, None] + _FOUR]  # (n - 1, 4, 2)
    return np.concatenate([(_weights(STEPS) @ around).reshape(-1, 2), given[-1:]])


def stroke(points: Sequence[tuple[float, float]], start: float, end: float) -> list[Array]:
    """The outlines of a smooth line whose half width goes from start to end, round there if it is not thin."""
    curve = open_curve(points)
    count = len(curve)
    along = np.empty_like(curve)
    along[1:-1], along[0], along[-1] = curve[2:] - curve[:-2], curve[1] - curve[0], curve[-1] - curve[-2]
    half = start + np.arange(count) * ((end - start) / (count - 1))
    half /= np.sqrt((along * along).sum(axis=1)) + 1e-9
    across = along[:, ::-1] * _RIGHT * half[:, None]
    outline = np.concatenate([curve + across, (curve - across)[::-1]])
    return [outline, disc(float(curve[-1, 0]), float(curve[-1, 1]), end)] if end > 0.012 else [outline]


def disc(x: float, y: float, radius: float, height: float | None = None, turn: float = 0.0) -> Array:
    """(24, 2) points of an ellipse, `radius` and `height` half as wide and high as it is, turned by radians."""
    high, cos, sin = radius if height is None else height, math.cos(turn), math.sin(turn)
    points: Array = _CIRCLE @ np.array([[radius * cos, radius * sin], [-high * sin, high * cos]]) + (x, y)
    return points


class Cover:
    """How much of each pixel some outlines cover: values in 0 … 1 of a rectangle of the image.

    Args:
        outlines: polygons whose union it is, in image widths; size: of the image, in pixels.
    """

    def __init__(self, outlines: Sequence[Array], size: int) -> None:
        cv2, points = opencv(), np.concatenate(outlines)
        (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        x, y = max(math.floor(left * size) - 1, 0), max(math.floor(top * size) - 1, 0)
        width, height = min(math.ceil(right * size) + 1, size) - x, min(math.ceil(bottom * size) + 1, size) - y
        if width <= 0 or height <= 0:  # outside the image
            self.place, self.values = (slice(0, 0), slice(0, 0)), np.zeros((0, 0), np.float32)
            return
        self.place = (slice(y, y + height), slice(x, x + width))
        fine = np.zeros((height * FINER, width * FINER), np.uint8)
        scale, moved = 16 * FINER * size, (16 * FINER * x + 8, 16 * FINER * y + 8)
        for each in outlines:  # one by one: where two overlap in one call, nothing is filled
            cv2.fillPoly(fine, [np.rint(each * scale - moved).astype(np.int32)], 255, shift=4)
        self.values = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
        self.values *= 1 / 255


class Layer:
    """A picture with holes: `colours` (S, S, 3) float32 times `alpha` (S, S), which is 0 where there is nothing."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.colours = np.zeros((size, size, 3), np.float32)
        self.alpha = np.zeros((size, size), np.float32)

    def paint(self, outlines: Sequence[Array], colour: object, strength: float = 1.0) -> Cover:
        """Paint outlines in one colour, or in those of a field (S, S, 3); how they cover the image."""
        cover = Cover(outlines, self.size)
        values = cover.values * strength if strength != 1 else cover.values
        field = np.asarray(colour, np.float32)
        over = field[cover.place] if field.ndim == 3 else field
        part, alpha = self.colours[cover.place], self.alpha[cover.place]
        part += (over - part) * values[..., None]
        alpha += (1 - alpha) * values
        return cover

    def shade(self, outlines: Sequence[Array], strength: float) -> None:
        """Darken what is there already inside outlines."""
        cover = Cover(outlines, self.size)
        self.colours[cover.place] *= 1 - strength * cover.values[..., None]

    def over(self, image: Array) -> Array:
        """(S, S, 3), the layer on an image."""
        seen: Array = image * (1 - self.alpha[..., None]) + self.colours
        return seen
