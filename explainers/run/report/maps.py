"""A raw map as a report takes it: read, of one value a pixel, as small as it was, with its scale."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from explainers.core.maps import upsample
from explainers.errors import MapError
from explainers.render.report import CHANNELS, Packed, native, packed
from explainers.render.style import limits_of
from explainers.storage.paths import shown


@dataclass(frozen=True)
class RawMap:
    """A map.

    full: (H, W) float32 over the network's input; box: (top, left, bottom, right) of it in the photo; size: (height,
    width) of the photo; note: what was done to have one value a pixel; outline: (H, W) bool, the region whose class is
    explained, or None.
    """

    full: np.ndarray
    small: np.ndarray
    box: tuple[float, float, float, float]
    size: tuple[int, int]
    note: str = ""
    outline: np.ndarray | None = None

    def packed(self) -> Packed:
        """The map as text, before it was enlarged."""
        return packed(self.small)

    def limits(self) -> tuple[float, float]:
        """The scale that its overlay has."""
        return limits_of(self.full)


def read_map(path: Path) -> RawMap:
    """A map that a run or an evaluation has kept.

    Raises:
        MapError: it is not there, damaged, or has values that cannot be drawn.
    """
    values, saved = load(path, ("box", "image_size"))
    input_size = tuple(saved["input_size"].tolist()) if "input_size" in saved else values.shape[-2:]
    box, size = saved["box"].tolist(), saved["image_size"].tolist()
    if values.ndim not in (2, 3) or 0 in values.shape or len(box) != 4 or len(size) != 2:
        raise MapError(f"the map {shown(path.name)} has the shape {values.shape}; a report shows maps (H, W)")
    if not np.isfinite(values).all():
        raise MapError(f"the map {shown(path.name)} has NaN or infinite values and cannot be drawn")
    note = ""
    if values.ndim == 3:
        values, note = np.abs(values).max(axis=0), CHANNELS
    full = values if values.shape == input_size else _enlarged(values, input_size)
    small = native(values) if values.shape == input_size else values
    top, left, bottom, right = map(float, box)
    outline = saved.get("outline")
    if outline is not None and outline.ndim != 2:
        outline = None
    return RawMap(full, small, (top, left, bottom, right), (int(size[0]), int(size[1])), note, outline)


def load(path: Path, needed: Sequence[str]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The values of a map, float32, and what was kept beside them.

    Raises:
        MapError: it is not there, damaged, or lacks what is needed.
    """
    try:
        with np.load(path) as saved:
            found = {name: saved[name] for name in saved.files}
            for name in needed:
                found[name]
            return np.asarray(found.pop("map"), np.float32), found
    except FileNotFoundError as error:
        raise MapError(f"the map {shown(path.name)} is no longer there") from error
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise MapError(f"the map {shown(path.name)} cannot be read: {error}") from error


def _enlarged(values: np.ndarray, size: Any) -> np.ndarray:
    made: np.ndarray = upsample(torch.from_numpy(values)[None, None], size)[0, 0].numpy()
    return made
