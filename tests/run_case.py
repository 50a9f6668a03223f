"""A small run for the tests of the folder engine and the command."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from explainers.data.images import write_image
from explainers.models import LoadedModel, load_model


def embedded() -> LoadedModel:
    return load_model("embedded", device="cpu")


def folder(root: Path, names: tuple[str, ...] = ("a.png", "sub/b.jpg", "sub/c.png")) -> Path:
    """Images with flat noise of their own, of different sizes."""
    for number, name in enumerate(names):
        pixels = np.random.default_rng(number).integers(0, 255, (40 + 10 * number, 64, 3), np.uint8)
        write_image(root / name, pixels)
    return root
