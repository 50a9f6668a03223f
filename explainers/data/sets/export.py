"""Images of a split as files, where something wants a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from explainers.data.data_set import Split
from explainers.data.images import write_image
from explainers.data.sets.splits import fraction_of
from explainers.errors import DataError


@dataclass(frozen=True)
class WrittenSplit:
    """What `write_split` has written.

    images, masks: folders of PNG files with the same names, the second only where masks were asked for; labels: class
    by name; blank: how many images were passed over because they have no mask.
    """

    images: Path
    masks: Path
    labels: dict[str, int]
    blank: int = 0


def write_split(
    split: Split, folder: Path, *, count: int, label: int | None = None, masks: str | bool = False
) -> WrittenSplit:
    """Write images of a split, up to `count`, the classes in turn and each class by a hash of its names.

    So a part of them is no class's alone, and a larger part contains a smaller one.

    Args:
        label: only images of this class; masks: only images that have a mask with something inside, which is written:
            `split.mask`, or the one that is named. Boxes are written under their name alone.

    Raises:
        DataError: there is no such image.
    """
    labels: dict[str, int] = {}
    names = frozenset(split.names)
    blank = 0
    for index in in_turn(split, label):
        if len(labels) == count:
            break
        mask = split.named_mask(index, masks) if isinstance(masks, str) else split.mask(index) if masks else None
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
    return WrittenSplit(folder / "images", folder / "masks", labels, blank)


def in_turn(split: Split, label: int | None) -> list[int]:
    """Indices in the order in which `write_split` takes them, of one class where `label` is given."""
    classes: dict[int, list[int]] = {}
    for index in sorted(range(len(split)), key=lambda index: fraction_of(split.names[index])):
        classes.setdefault(int(split.labels[index]), []).append(index)
    wanted = [classes[own] for own in sorted(classes) if label is None or own == label]
    longest = max((len(each) for each in wanted), default=0)
    return [each[place] for place in range(longest) for each in wanted if place < len(each)]


def _png(name: str, names: frozenset[str]) -> str:
    """A name of its own for each image: a.jpg and a.jpg.png of one folder must not become one file."""
    if PurePosixPath(name).suffix == ".png":
        return name
    name += ".png"
    while name in names:
        name += ".png"
    return name
