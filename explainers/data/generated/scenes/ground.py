"""What is behind the shapes: a texture in dull colours, and strokes in the colours of the shapes."""

from __future__ import annotations

import math

import numpy as np

from explainers.data.generated.random_numbers import smooth_noise
from explainers.data.generated.scenes.shapes import COLOURS, band, cover

_PURE = np.array(
    [(0.86, 0.2, 0.18), (0.88, 0.8, 0.2), (0.25, 0.68, 0.25), (0.2, 0.75, 0.8), (0.22, 0.32, 0.85), (0.8, 0.25, 0.75)],
    np.float32,
)


def tinted(rng: np.random.Generator, colour: int) -> np.ndarray:
    """(3,) one of the six colours, never twice the same."""
    varied: np.ndarray = (_PURE[colour] * rng.uniform(0.8, 1.1) + rng.uniform(-0.06, 0.06, 3)).astype(np.float32)
    return varied.clip(0, 1)


def ground(rng: np.random.Generator, size: int) -> np.ndarray:
    """(S, S, 3) float32, about 0 … 1."""
    gray = rng.uniform(0.3, 0.7)
    base = np.array([gray] * 3, np.float32) + rng.uniform(-0.1, 0.1, 3).astype(np.float32)
    texture = 0.13 * smooth_noise(rng, (size, size), 5) + 0.1 * smooth_noise(rng, (size, size), 14)
    if rng.random() < 0.5:
        turn, waves = rng.uniform(0, math.pi), rng.uniform(5, 13)
        axis = np.arange(size, dtype=np.float32) / size
        along = math.cos(turn) * axis[None] + math.sin(turn) * axis[:, None]
        texture += rng.uniform(0.03, 0.1) * np.sin(2 * math.pi * waves * along + rng.uniform(0, 6))
    image: np.ndarray = base + texture[..., None]
    for _ in range(rng.integers(4, 9)):
        x, y, turn = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0, math.pi)
        corners = band(x, y, rng.uniform(0.08, 0.3), rng.uniform(0.015, 0.035), turn)
        painted(image, corners, tinted(rng, int(rng.integers(len(COLOURS)))), rng.uniform(0.5, 0.95))
    return image


def painted(image: np.ndarray, corners: np.ndarray, colour: np.ndarray, strength: float) -> np.ndarray:
    """Paint a polygon onto an image (S, S, 3) in place; (S, S) bool, the pixels that are at least half covered."""
    size = len(image)
    place, shares = cover(corners, size)
    image[place] += (colour - image[place]) * (shares * strength)[..., None]
    covered = np.zeros((size, size), bool)
    covered[place] = shares >= 0.5
    return covered
