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
from explainers.evaluation.chunk_maps import Stored
from explainers.run.kinds import kind_of
from explainers.run.targets.placed import placed
from explainers.run.targets.said import refuse_other, said_in
from explainers.storage.journal import Journal
from explainers.storage.owner import JOURNAL
from explainers.storage.paths import shown
from explainers.targets import Similarity

UNSAID = "maps_without_target"  # in the manifest
LOOKED_AT = 64  # files that tell whether a folder's maps say of what they are


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

    def check(self, names: Sequence[str], size: tuple[int, ...], asked: Sequence[Any]) -> None:
        """See that the maps are of the targets that are asked for; files that were made elsewhere do not say.

        Raises:
            MapError: one is of another target, missing, or damaged.
        """
        for name, target in zip(names, asked, strict=True):
            refuse_other(self.folder.path(name, self.ending), target, size)

    def check_reference(self, asked: Any) -> None:
        """See that maps of a run are of likeness to the reference that is asked for, whatever its file is called.

        Raises:
            MapError: they are of another one.
        """
        if not isinstance(asked, Similarity):
            return
        facts = (Journal(self.folder.folder.parent / JOURNAL).head() or {}).get("facts", {})
        made = str(facts.get("options", {}).get("target"))
        if made.startswith("Similarity(") and made.endswith(f"{asked.name!r})") and made != asked.key:
            raise MapError(  # of a file of another name each map says so itself
                f"{shown(self.folder.folder)} holds maps of what is {asked.label()}, but with other contents in "
                f"{asked.name} than it has now, or prepared in another way: score them with the reference that they "
                "were made for, or make maps of this one (explain run)"
            )

    @property
    def unsaid(self) -> bool:
        """Whether maps do not say what target they are of, going by those of a few images."""
        for name in list(self.files)[:LOOKED_AT]:
            try:
                path = self.folder.find(name, self.ending) or self.folder.find(name, f"{self.ending}.1")
                if path is not None and said_in(path) is None:
                    return True
            except MapError:  # costs its image, when it comes to it
                continue
        return False

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


def check_references(explainers: Mapping[str, Any], asked: Any) -> None:
    """See that maps in files are of likeness to the reference that is asked for, if that is asked.

    Raises:
        MapError: some are not.
    """
    for each in explainers.values():
        if isinstance(each, Stored) and isinstance(each.maps, StoredMaps):
            each.maps.check_reference(asked)


def not_saying(explainers: Mapping[str, Any]) -> dict[str, list[str]]:
    """For the manifest: titles of maps in files that do not say what target they are of, where there are any."""
    stored = {
        title: getattr(each.maps, "maps", each.maps) for title, each in explainers.items() if isinstance(each, Stored)
    }
    titles = [title for title, each in stored.items() if isinstance(each, StoredMaps) and each.unsaid]
    return {UNSAID: titles} if titles else {}


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
