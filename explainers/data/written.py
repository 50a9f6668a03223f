"""Images of a split as files, where something wants a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from explainers.data.images import write_image
from explainers.data.sets import Split
from explainers.errors import DataError


@dataclass(frozen=True)
class Written:
    """images, masks: folders of PNG files with the same names; labels: class by name; count: how many images.

    why: what was left out, as words that follow a count, or nothing.
    """

    images: Path
    masks: Path
    labels: dict[str, int]
    count: int
    why: str = ""


def write_split(split: Split, folder: Path, *, count: int, label: int | None = None, masks: bool = False) -> Written:
    """The first `count` images of a split, or those among them that are asked for.

    Args:
        label: only images of this class; masks: only images that have a mask with something inside, which is written.

    Raises:
        DataError: there is no such image.
    """
    labels: dict[str, int] = {}
    names = frozenset(split.names)
    blank = 0
    for index in range(len(split)):
        if len(labels) == count:
            break
        if label is not None and split.labels[index] != label:
            continue
        mask = split.mask(index) if masks else None
        if masks and (mask is None or not mask.any()):
            blank += 1
            continue
        name = _png(split.names[index], names)
        labels[name] = int(split.labels[index])
        if mask is not None:
            write_image(folder / "masks" / name, mask.astype(np.uint8) * 255)
        write_image(folder / "images" / name, split.pixels(index))
    if not labels:
        of_class = "" if label is None else f" of class {label}"
        raise DataError(f"there is no image{of_class}{' with a mask' if masks else ''} among these {len(split)}")
    why = f" (masks are needed, and {blank} images before them have none)" if blank else ""
    return Written(folder / "images", folder / "masks", labels, len(labels), why)


def _png(name: str, names: frozenset[str]) -> str:
    """A name of its own for each image: a.jpg and a.jpg.png of one folder must not become one file."""
    if PurePosixPath(name).suffix == ".png":
        return name
    name += ".png"
    while name in names:
        name += ".png"
    return name
