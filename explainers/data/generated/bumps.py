"""Generated signals with a known answer: one bump, by its form, decides the class.

Two channels record the same bump with gains and noise of their own, beside drift, a hum, steps and spikes that say
nothing. Height and length of the four classes overlap. A signal depends on (seed, split, index) alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from explainers.data.generated.random_numbers import check_count, numbers_of, smooth_noise

CLASSES = ("hump", "saw", "double", "ripple")
CHANNELS, LENGTH = 2, 256


@dataclass(frozen=True, eq=False)
class Bump:
    """One generated signal.

    samples: (2, 256) float32; mask: (256,) bool, where the bump is; label: index in `CLASSES`.
    """

    samples: Tensor
    mask: Tensor
    label: int


def bump(index: int, *, split: str = "test", seed: int = 0) -> Bump:
    """Signal `index` of a split; the classes are in turn.

    Args:
        split: "train", "val" or "test".

    Raises:
        OptionError: a setting out of its range.

    Cost: about 0.2 ms on one thread.
    """
    rng = numbers_of("bump", split, seed, index)
    label = index % len(CLASSES)
    length = int(rng.integers(28, 49))
    start = int(rng.integers(0, LENGTH - length + 1))
    form = np.zeros(LENGTH, np.float32)
    form[start : start + length] = rng.uniform(0.9, 1.6) * _form(CLASSES[label], np.linspace(0, 1, length))
    time = np.arange(LENGTH)
    hum = rng.uniform(0, 0.25) * np.sin(2 * np.pi * time / rng.uniform(6, 40) + rng.uniform(0, 6))
    signals = []
    for gain in (1.0, rng.uniform(0.3, 0.9)):
        signal = gain * form + hum * rng.uniform(0.5, 1.0) + 0.25 * rng.standard_normal(LENGTH)
        signal += rng.uniform(0.3, 1.0) * smooth_noise(rng, (LENGTH,), 4)
        for _ in range(rng.integers(0, 3)):
            signal[int(rng.integers(LENGTH)) :] += rng.uniform(-0.6, 0.6)
        for _ in range(rng.integers(1, 5)):
            signal[int(rng.integers(LENGTH))] += rng.uniform(-2, 2)
        signals.append(signal)
    mask = (time >= start) & (time < start + length)
    return Bump(torch.from_numpy(np.stack(signals).astype(np.float32)), torch.from_numpy(mask), label)


def bumps(count: int, *, split: str = "test", seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Signals 0 … count - 1: (N, 2, 256) float32, masks (N, 256) bool, labels (N,)."""
    check_count(count)
    made = [bump(index, split=split, seed=seed) for index in range(count)]
    return (
        torch.stack([item.samples for item in made]),
        torch.stack([item.mask for item in made]),
        torch.tensor([item.label for item in made]),
    )


def _form(kind: str, time: np.ndarray) -> np.ndarray:
    """The form of a class over time 0 … 1, of height about 1, and 0 at both ends but for a saw's foot."""
    if kind == "hump":
        form = np.sin(np.pi * time) ** 2
    elif kind == "saw":
        form = np.minimum(time / 0.08, (1 - time) / 0.92)
    elif kind == "double":
        form = np.sin(2 * np.pi * time) ** 2
    else:
        form = np.sin(np.pi * time) * np.sin(8 * np.pi * time)
    shaped: np.ndarray = form
    return shaped
