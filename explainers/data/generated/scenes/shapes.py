"""The outlines of the shapes, and how much of each pixel an outline covers."""

from __future__ import annotations

import math

import numpy as np

KINDS = ("disc", "square", "triangle", "star")
COLOURS = ("red", "yellow", "green", "cyan", "blue", "magenta")
FINER = 3  # a pixel is covered by this many squared points


def outline(kind: int, x: float, y: float, radius: float, turn: float) -> np.ndarray:
    """(n, 2) corners of a shape, in the units of its place and radius. All kinds have about the same area."""
    if KINDS[kind] == "star":
        steps, reach = 10, np.where(np.arange(10) % 2, 0.53, 1.24)
    else:
        steps = {"disc": 32, "square": 4, "triangle": 3}[KINDS[kind]]
        reach = np.full(steps, {"disc": 0.8, "square": 1.0, "triangle": 1.24}[KINDS[kind]])
    angles = turn + 2 * math.pi * np.arange(steps) / steps
    return np.stack([x + radius * reach * np.cos(angles), y + radius * reach * np.sin(angles)], axis=1)


def band(x: float, y: float, length: float, width: float, turn: float) -> np.ndarray:
    """(4, 2) corners of a straight stroke."""
    along = np.array([math.cos(turn), math.sin(turn)]) * length / 2
    across = np.array([-math.sin(turn), math.cos(turn)]) * width / 2
    middle: np.ndarray = np.array([x, y]) + np.stack([along + across, along - across, -along - across, across - along])
    return middle


def cover(corners: np.ndarray, size: int) -> tuple[tuple[slice, slice], np.ndarray]:
    """Where in a square image of `size` pixels a polygon lies, and the share 0 … 1 of each pixel there that it covers.

    Args:
        corners: (n, 2) x and y in image widths; the polygon may leave the image.
    """
    points = corners * size
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    rows = slice(min(max(math.floor(top), 0), size), min(max(math.ceil(bottom), 0), size))
    columns = slice(min(max(math.floor(left), 0), size), min(max(math.ceil(right), 0), size))
    offsets = (np.arange(FINER) + 0.5) / FINER
    y = (np.arange(rows.start, rows.stop)[:, None] + offsets).reshape(-1, 1)
    x = (np.arange(columns.start, columns.stop)[:, None] + offsets).reshape(1, -1)
    inside = np.zeros((y.size, x.size), bool)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if y0 != y1:  # even-odd rule: an edge between the heights, to the right of the point
            inside ^= ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    shares = inside.reshape(y.size // FINER, FINER, x.size // FINER, FINER).mean(axis=(1, 3), dtype=np.float32)
    return (rows, columns), shares
