"""What an evaluation keeps beside its scores, so that a report can show it: which files, which masks, which maps."""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from explainers.core.maps import is_constant
from explainers.errors import MapError
from explainers.evaluation.controls import is_control
from explainers.evaluation.engine import Unit
from explainers.evaluation.result import table
from explainers.render.report import native
from explainers.run.evaluate.folder import Folder
from explainers.run.true_classes import true_name
from explainers.storage.atomic import write_bytes

IMAGES, MAPS = "images.csv", "maps"
MANTISSA = 13  # bits of a float32 that are left out of large maps: what stays is right to 1/2048 of each value


class Keeper:
    """Keeps the maps of an evaluation of image files.

    Args:
        out: its folder; source: the files; names: of the classes, where they are known; maps: whether to keep maps.
    """

    def __init__(self, out: Path, source: Folder, names: Sequence[str] | None, maps: bool) -> None:
        self.out, self.source, self.names, self.maps = out, source, names, maps

    def begin(self) -> None:
        """images.csv: where each image and its mask lie, and its true class."""
        write_bytes(self.out / IMAGES, table(map(self._row, self.source.files)).encode("utf-8", "surrogateescape"))

    def keep(self, unit: Unit) -> dict[str, str]:
        """Write the maps of a unit and name them in its rows; returns image → name of its map within the folder.

        Controls know nothing of the network, and nobody looks at maps that are the same everywhere: they are not kept.
        """
        if not self.maps or is_control(unit.explainer) or unit.rows is None:
            return {}
        kept = {}
        for name, map_ in unit.maps.items():
            if not is_constant(map_):
                kept[name] = f"{MAPS}/{image_id(name)}.{_file_name(unit.explainer)}.npz"
                write_bytes(self.out / kept[name], self._archive(name, unit, map_.cpu().numpy()))
        for row in unit.rows:
            if row["status"] == "ok" and row["image"] in kept:
                row["map"] = kept[row["image"]]
        return kept

    def _row(self, file: Any) -> dict[str, Any]:
        label = None if self.source.labels is None else self.source.labels[file.name]
        try:
            mask = None if self.source.masks is None else self.source.masks.find(file.name)
        except MapError:  # there are several: costs its image, when it comes to it
            mask = None
        return {
            "image": file.name,
            "source": os.path.realpath(file.path),  # of a link to itself as well
            "mask": "" if mask is None else os.path.realpath(mask),
            **({} if label is None else {"true": label, "true_name": true_name(label, self.names)}),
        }

    def _archive(self, name: str, unit: Unit, map_: np.ndarray) -> bytes:
        """The raw map as small as it was before it was enlarged, as `explain run` keeps its maps."""
        places, content = self.source.seen[name]
        outline = unit.outlines.get(name)
        small = native(map_) if map_.ndim == 2 else map_
        arrays = {
            "map": small if small.size < map_.size else _rounded(map_),
            "input_size": np.array(map_.shape),
            **places,
            "method": np.array(unit.explainer),
            "content": np.array(content),
            **({} if outline is None else {"outline": outline.cpu().numpy()}),
        }
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
        return buffer.getvalue()


def image_id(name: str) -> str:
    """What files of an image are called, whatever the image is."""
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def classes_of(names: Sequence[str] | None) -> Mapping[str, Any]:
    """The class names for the manifest."""
    return {} if names is None else {"classes": list(names)}


def _file_name(title: str) -> str:
    """A title in letters that any file system takes; with a mark of its own where that changed it."""
    plain = re.sub(r"[^A-Za-z0-9+_-]", "-", title)
    return plain if plain == title else f"{plain}-{hashlib.sha256(title.encode()).hexdigest()[:6]}"


def _rounded(map_: np.ndarray) -> np.ndarray:
    """Values with fewer bits, which take half the space."""
    bits = np.ascontiguousarray(map_, np.float32).view(np.uint32).astype(np.uint64)
    kept: np.ndarray = ((bits + (1 << (MANTISSA - 1))) >> MANTISSA << MANTISSA).astype(np.uint32).view(np.float32)
    return kept
