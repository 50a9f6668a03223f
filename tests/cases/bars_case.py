"""Images of bars, and trainings on them that take a moment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from explainers.baselines import (
    CrossEntropy,
    Flip,
    SaliencyGuided,
    Settings,
    Shift,
)
from explainers.baselines.training.run_folder import BEST, LAST
from explainers.core.preprocessing import Preprocessing
from explainers.data.data_set import DataSet, Split

SIZE = 16


class Bars(Split):
    """Dark images with a bright bar: across in class 0, upright in class 1; noise over all. reads: how often."""

    def __init__(self, count: int, offset: int = 0, share: float = 0.5) -> None:
        self.offset, self.reads = offset, 0
        self.labels = [int((index * share) % 1 + share >= 1) for index in range(count)]
        self.names = [f"{index:03d}.png" for index in range(count)]

    def pixels(self, index: int) -> np.ndarray:
        self.reads += 1
        rng = np.random.default_rng(1000 * self.offset + index)
        image = rng.integers(0, 90, (SIZE, SIZE)).astype(np.uint8)
        place = rng.integers(2, SIZE - 3)
        if self.labels[index]:
            image[:, place : place + 2] = 220
        else:
            image[place : place + 2, :] = 220
        return np.repeat(image[:, :, None], 3, axis=2)


def bars(count: int = 48, share: float = 0.5) -> DataSet:
    preprocessing = Preprocessing(mean=(0.3,), std=(0.25,), channels=1, source="bars")
    return DataSet("bars", ("across", "upright"), preprocessing, Bars(count, 0, share), Bars(24, 1), Bars(24, 2))


SMALL = {"backbone": "small-resnet"}


GUIDED = (CrossEntropy(), CrossEntropy("attention_logits"), SaliencyGuided(keep=(0.3, 0.5), patch=(1, 2)))


ALL = Settings(
    losses=GUIDED,
    epochs=3,
    batch_size=8,
    bias_samples=2,
    augment=(Flip(), Shift(1)),
    class_weights="balanced",
    sampling="balanced",
    clip=1.0,
    seed=5,
)


def weights(folder: Path, name: str = LAST) -> dict[str, torch.Tensor]:
    return load_file(folder / name)


def alike(first: Path, second: Path) -> bool:
    for name in (LAST, BEST):
        one, two = weights(first, name), weights(second, name)
        if one.keys() != two.keys() or not all(torch.equal(one[key], two[key]) for key in one):
            return False
    return True


class Stopped(Exception):
    pass
