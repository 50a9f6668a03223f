"""Heat maps of detections in files: one for each of an image's detections, by its number."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from explainers.data.images.companions import Beside
from explainers.errors import MapError
from explainers.run.evaluate.boxes.source import BoxRows
from explainers.run.targets.said import said_in
from explainers.storage.paths import shown


class MapFiles(Protocol):
    """Maps in files beside images, see `StoredMaps`."""

    @property
    def folder(self) -> Beside:
        """Where they lie."""

    @property
    def ending(self) -> str:
        """What stands between an image's name and the suffix."""

    def read(self, name: str, ending: str, size: tuple[int, ...]) -> Tensor:
        """(H, W) the map of an image in the file with this ending."""


@dataclass(frozen=True)
class DetectionMaps:
    """Maps in files, as the engine takes them of detections: `a.grad-cam.2.npz` is that of the second of `a.jpg`, by
    score; a file without a number counts where it says that it is of a box, as that of a run's only box does."""

    maps: MapFiles
    boxes: BoxRows

    def __call__(self, names: Sequence[str], size: tuple[int, ...]) -> Tensor:
        """(N, H, W) maps of detections.

        Raises:
            MapError: there is none, or it is damaged, of another size, or of another box.
        """
        return torch.stack([self._map(name, size) for name in names])

    def digest(self, names: Sequence[str]) -> str:
        """Of the files' contents; what is missing costs its detection, and is told when its map is asked for."""
        found = hashlib.sha256()
        for name in names:
            try:
                found.update(self.maps.folder.digest(*self._named(name)))
            except MapError as error:
                found.update(str(error).encode("utf-8", "backslashreplace"))
        return found.hexdigest()

    def _named(self, name: str) -> tuple[str, str]:
        """The image of a detection, and what stands between that and the suffix of the map's file."""
        told, folder = self.boxes.columns[name], self.maps.folder
        file, ending = str(told["file"]), f"{self.maps.ending}.{told['detection']}"
        if told["detection"] == 1 and folder.find(file, ending) is None:
            plain = folder.find(file, self.maps.ending)
            said = None if plain is None else said_in(plain)
            if said is not None and said.outline is not None:  # else it could be of the whole image
                return file, self.maps.ending
        return file, ending

    def _map(self, name: str, size: tuple[int, ...]) -> Tensor:
        file, ending = self._named(name)
        path = self.maps.folder.path(file, ending)
        values = self.maps.read(file, ending, size)
        outline, said = self.boxes.targets[name].outline(size), said_in(path)
        if said is not None and said.outline is not None and outline is not None and not _alike(said.outline, outline):
            raise MapError(
                f"{shown(path)} says that it is of another box than {name}: it was made with another network, "
                "--min-score, or way of preparing photos"
            )
        label = self.boxes.columns[name]["class"]
        if said is not None and said.target != label:
            raise MapError(
                f"{shown(path)} is a map of a detection of class {said.target}, and {name} is of class {label}: it was "
                "made with another network, --min-score, or way of preparing photos, or is no map of detections"
            )
        return values


def _alike(one: np.ndarray, box: Tensor) -> bool:
    """Whether two boxes are the same to a pixel."""
    other = box.numpy()
    if one.shape != other.shape or not one.any() or not other.any():
        return False
    first, second = (
        np.array([np.flatnonzero(mask.any(axis=axis))[[0, -1]] for axis in (0, 1)]) for mask in (one, other)
    )
    return bool(np.abs(first - second).max() <= 1)
