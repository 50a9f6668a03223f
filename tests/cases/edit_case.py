"""A small training whose maps are edited, and its images as files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from explainers.baselines import Settings, train
from explainers.core.preprocessing import Preprocessing
from explainers.data.data_set import DataSet
from explainers.data.images import write_image
from explainers.data.sets import data_set

HEIGHT, WIDTH = 40, 56  # whose map has 5 × 7 cells


def photos(root: Path, count: int = 6) -> Path:
    """Photos of two classes in train and val, bright above or below; half of the training images have masks."""
    for split, offset in (("train", 0), ("val", 100)):
        for label, name in enumerate(("above", "below")):
            for index in range(count):
                rng = np.random.default_rng(offset + 10 * label + index)
                image = rng.integers(0, 120, (HEIGHT, WIDTH, 3)).astype(np.uint8)
                rows = slice(label * HEIGHT // 2, (label + 1) * HEIGHT // 2)
                image[rows, 10:30] = 220
                write_image(root / split / name / f"{index}.png", image)
                if split == "train" and index % 2:
                    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
                    mask[rows, 10:30] = 255
                    write_image(root / "masks" / split / name / f"{index}.png", mask)
    return root


def data_of(root: Path) -> DataSet:
    found = data_set(f"folder:{root}")
    return replace(found, preprocessing=Preprocessing(None, None, (0.4,) * 3, (0.25,) * 3, source="test"))


def training(root: Path, network: str = "abn") -> Path:
    """One epoch on the photos of root/photos, in root/RUN."""
    settings = Settings(epochs=1, batch_size=6)
    return train(network, data_of(photos(root / "photos")), root / "RUN", settings, device="cpu").folder
