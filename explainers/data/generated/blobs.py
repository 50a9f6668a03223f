"""Generated volumes with a known answer: one blob, by its form, decides the class.

Balls, shells (hollow balls) and rods lie in a smoothly uneven volume with noise, beside small balls and thin tubes that
say nothing. Brightness and size of the three classes overlap. A volume depends on (seed, split, index) alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from explainers.data.generated.random_numbers import check_count, numbers_of, smooth_noise

CLASSES = ("ball", "shell", "rod")
SHAPE = (24, 28, 20)  # depth, height, width: three different lengths, so that no two axes can be mixed up


@dataclass(frozen=True, eq=False)
class Blob:
    """One generated volume.

    voxels: (1, 24, 28, 20) float32, of mean about 0; mask: (24, 28, 20) bool, the blob that decides the class, a
    shell with its hollow; label: index in `CLASSES`.
    """

    voxels: Tensor
    mask: Tensor
    label: int


def blob(index: int, *, split: str = "test", seed: int = 0) -> Blob:
    """Volume `index` of a split; the classes are in turn.

    Args:
        split: "train", "val" or "test".

    Raises:
        OptionError: a setting out of its range.

    Cost: about 2 ms on one thread.
    """
    rng = numbers_of("blob", split, seed, index)
    label = index % len(CLASSES)
    volume = 0.35 * smooth_noise(rng, SHAPE, 3) + 0.2 * smooth_noise(rng, SHAPE, 7)
    for _ in range(rng.integers(2, 5)):
        away = _from(rng.uniform(0, 1, 3) * SHAPE)
        volume += rng.uniform(0.5, 1.2) * _soft(rng.uniform(1.3, 2.1) - np.sqrt((away**2).sum(axis=0)))
    for _ in range(rng.integers(1, 3)):
        away, along = _from(rng.uniform(0, 1, 3) * SHAPE), _direction(rng)
        volume += rng.uniform(0.4, 0.9) * _soft(rng.uniform(0.8, 1.2) - _to_axis(away, along))
    shape, inside = _deciding(rng, CLASSES[label])
    volume = volume * (1 - 0.7 * inside) + rng.uniform(0.6, 1.2) * shape  # what lies in it does not show through
    volume += 0.3 * rng.standard_normal(SHAPE, np.float32)
    return Blob(torch.from_numpy(volume.astype(np.float32))[None], torch.from_numpy(inside > 0.5), label)


def blobs(count: int, *, split: str = "test", seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Volumes 0 … count - 1: (N, 1, 24, 28, 20) float32, masks (N, 24, 28, 20) bool, labels (N,)."""
    check_count(count)
    made = [blob(index, split=split, seed=seed) for index in range(count)]
    return (
        torch.stack([item.voxels for item in made]),
        torch.stack([item.mask for item in made]),
        torch.tensor([item.label for item in made]),
    )


def _deciding(rng: np.random.Generator, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """The blob of a class and all that lies within its surface, each (24, 28, 20) of 0 … 1."""
    if kind == "rod":
        half, thick = rng.uniform(5.0, 6.4), rng.uniform(2.2, 2.9)
        along = _direction(rng)
        middle = rng.uniform(thick + half * abs(along), np.array(SHAPE) - 1 - thick - half * abs(along))
        away = _from(middle)
        beyond = np.abs(np.tensordot(along, away, 1)).clip(min=half) - half  # round ends
        rod = _soft(thick - np.sqrt(_to_axis(away, along) ** 2 + beyond**2))
        return rod, rod
    radius = rng.uniform(4.0, 5.5)
    distance = np.sqrt((_from(rng.uniform(radius + 0.5, np.array(SHAPE) - 1.5 - radius)) ** 2).sum(axis=0))
    ball = _soft(radius - distance)
    return (ball - _soft(radius - rng.uniform(1.7, 2.2) - distance), ball) if kind == "shell" else (ball, ball)


def _from(middle: np.ndarray) -> np.ndarray:
    """(3, 24, 28, 20) of each voxel, its way from a place."""
    return np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij")) - np.reshape(middle, (3, 1, 1, 1))


def _to_axis(away: np.ndarray, along: np.ndarray) -> np.ndarray:
    """The distance of each voxel from a line."""
    squared: np.ndarray = (away**2).sum(axis=0) - np.tensordot(along, away, 1) ** 2
    return np.sqrt(squared.clip(min=0))


def _direction(rng: np.random.Generator) -> np.ndarray:
    """(3,) of length 1, evenly spread over the sphere."""
    way = rng.standard_normal(3)
    unit: np.ndarray = way / np.linalg.norm(way)
    return unit


def _soft(depth: np.ndarray) -> np.ndarray:
    """0 … 1 of how deep below a surface a voxel is, in voxels; 0.5 on it."""
    share: np.ndarray = 1 / (1 + np.exp(-4 * depth.clip(-8, 8)))
    return share
