"""Heat maps and masks in files beside the images, laid over what the network sees."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from explainers.core.preprocessing import AnyPreprocessing
from explainers.data.images import ImageFile
from explainers.data.images.companions import Beside, methods_of
from explainers.errors import MapError
from explainers.run.kinds import kind_of
from explainers.run.targets.placed import placed


@dataclass(frozen=True)
class StoredMaps:
    """Heat maps in files beside the images, as the engine takes them.

    ending: what stands between an image's name and the suffix, such as ".grad-cam".
    """

    folder: Beside
    files: Mapping[str, ImageFile]
    preprocessing: AnyPreprocessing
    max_pixels: int | None
    ending: str = ""

    def __call__(self, names: Sequence[str], size: tuple[int, ...]) -> Tensor:
        """(N, H, W) maps of images.

        Raises:
            MapError: a map is missing, damaged, or of another size. ImageError: a picture that cannot be read.
        """
        return torch.stack([self.read(name, self.ending, size) for name in names])

    def digest(self, names: Sequence[str]) -> str:
        """Of the files' contents, and of what is wrong with those that are missing or cannot be read."""
        found = hashlib.sha256()
        for name in names:
            try:
                found.update(self.folder.digest(name, self.ending))
            except MapError as error:  # costs its image, as a file that is damaged does
                found.update(str(error).encode("utf-8", "backslashreplace"))
        return found.hexdigest()

    def read(self, name: str, ending: str, size: tuple[int, ...]) -> Tensor:
        """(H, W) the map of an image in the file with this ending.

        Raises:
            MapError, ImageError: as when it is called.
        """
        path = self.folder.path(name, ending)
        kind = kind_of(self.preprocessing)
        values = kind.map_in(path, self.max_pixels)
        if values.shape == size:
            return torch.from_numpy(values)
        subject = kind.read(self.files[name].path, self.max_pixels)
        return placed(values, kind.size(subject), size, self.preprocessing, str(path), False)


def found_maps(folder: Path, files: Sequence[ImageFile], title: str, *, detections: bool = False) -> dict[str, Any]:
    """Explainers made of maps in files: one for the folder, or one for each method whose maps a run of `explain` left
    in it, under titles such as `maps/grad-cam`.

    Args:
        detections: whether they may be numbered, as those of an image's detections are.
    """
    names = [file.name for file in files]
    endings = list(methods_of(folder, names, numbered=detections))
    title = title or folder.name
    if not endings:
        return {title: folder}
    return {f"{title}/{ending[1:]}": (folder, ending) for ending in endings}
