"""What the studies of this folder share: batches of test images, cells of tables, sheets, maps that are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from explainers.core.maps import scaled
from explainers.data.data_set import DataSet
from explainers.data.images import write_image
from explainers.evaluation.intervals import interval_of
from explainers.render.overlay import overlay
from explainers.render.sheet import contact_sheet

BATCH = 8
Line = tuple[str, Sequence[np.ndarray]]  # a caption, and a map (H, W) of each image


def batches(data: DataSet, chosen: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Test images by their indices, as networks take them, with their classes, masks and names."""
    assert data.test is not None
    for start in range(0, len(chosen), BATCH):
        rows = chosen[start : start + BATCH]
        yield {
            "images": torch.stack([data.preprocessing(data.test.pixels(row)) for row in rows]),
            "labels": torch.tensor([data.test.labels[row] for row in rows]),
            "masks": torch.from_numpy(np.stack([data.test.mask(row) for row in rows])),
            "names": [data.test.names[row] for row in rows],
        }


def cell(values: np.ndarray) -> str:
    """Of (trainings, images): the mean of all with a 95 % interval over images."""
    if values.shape[1] < 2:
        return "–"
    interval = interval_of(values.mean(axis=0))
    assert interval is not None
    return f"{values.mean():.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"


def write_sheet(path: Path, photos: Sequence[np.ndarray], lines: Sequence[Line]) -> None:
    """The photos (H, W, 3), and below them a line of overlays for each caption."""
    cells = [[("image", photo) for photo in photos]]
    cells += [
        [(caption, overlay(photo, one)) for photo, one in zip(photos, maps, strict=True)] for caption, maps in lines
    ]
    write_image(path, contact_sheet(cells, cell=128))


class Remembered:
    """An explainer whose maps are made once for each image; `levels`: between so many values, as the authors' code."""

    def __init__(self, explain: Callable[[Tensor, Any], Tensor]) -> None:
        self.explain = explain
        self.maps: dict[bytes, Tensor] = {}

    def __call__(self, images: Tensor, targets: Any = None) -> Tensor:
        """(N, C, H, W) to (N, H, W)."""
        keys = [image.cpu().numpy().tobytes() for image in images]
        if any(key not in self.maps for key in keys):
            self.maps.update(zip(keys, self.explain(images, targets), strict=True))
        return torch.stack([self.maps[key] for key in keys])

    def three_levels(self, images: Tensor, targets: Any = None) -> Tensor:
        """The minimum, the middle and the maximum alone, as the authors' code quantises before it scores."""
        return (scaled(self(images, targets)) * 2).floor() / 2
