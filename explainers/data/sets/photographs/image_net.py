"""ImageNet (Russakovsky et al. 2015) in the folders that torchvision makes of its archives: `image-net:PATH`.

    PATH/train/n01440764/n01440764_10026.JPEG
    PATH/val/n01440764/ILSVRC2012_val_00000293.JPEG

A part of the classes, in both folders the same, will do. `meta.bin`, a pickle, is not read.
"""

from __future__ import annotations

import re
from pathlib import Path

from explainers.data.data_set import DataSet, register_data_set
from explainers.data.images import ImageFile, find_images
from explainers.data.sets.photographs.known import Known, photographs
from explainers.data.sets.photographs.lists import root_with
from explainers.data.sets.splits import folder_of, held_out
from explainers.errors import DataError, ImageError
from explainers.storage.paths import shown

SYNSET = re.compile(r"n\d{8}")
VAL_SHARE = 0.01


@register_data_set("image-net", "image-net:PATH (PATH/train/n…/… and PATH/val/n…/…, as torchvision has them)")
def image_net(rest: str) -> DataSet:
    """A hundredth of each class of `train` is for validation; `val`, whose labels all publications use, is the test.

    Classes are called by their synsets, such as n01440764, in their order, which is that of torchvision's networks.

    Raises:
        DataError: another layout, other classes in val, or a class without images.
    """
    root = root_with(folder_of(rest, "image-net"), "", ("train", "val"), "ImageNet")
    classes = synsets(root / "train")
    refuse_other(root / "val", synsets(root / "val"), classes, root / "train")
    train, test = labelled(root, "train", classes), labelled(root, "val", classes)
    kept, val = held_out([file.name for file, _ in train], [label for _, label in train], VAL_SHARE)
    return DataSet(
        f"image-net:{rest}",
        classes,
        photographs("image-net"),
        Known().split([train[index] for index in kept]),
        Known().split([train[index] for index in val]),
        Known().split(test),
        notes=(
            f"{len(val)} of the {len(train)} images of train, a hundredth of each class and at least one, are for "
            "validation; val is the test",
        ),
    )


def synsets(folder: Path) -> tuple[str, ...]:
    """The class folders in a folder, sorted.

    Raises:
        DataError: fewer than two, or one that is called otherwise.
    """
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    strange = [name for name in names if not SYNSET.fullmatch(name)]
    if strange:
        raise DataError(f"{shown(folder)}: expected folders such as n01440764, found {shown(strange[0])}")
    if len(names) < 2:
        raise DataError(f"{shown(folder)} has {len(names)} class folders such as n01440764; expected at least two")
    return tuple(names)


def refuse_other(folder: Path, found: tuple[str, ...], classes: tuple[str, ...], known: Path) -> None:
    """See that a folder has the classes of another one.

    Raises:
        DataError: it has others.
    """
    lacking, strange = sorted(set(classes) - set(found)), sorted(set(found) - set(classes))
    if lacking or strange:
        told = f"lacks {lacking[0]}" if lacking else f"has {strange[0]}"
        raise DataError(f"the classes of {shown(folder)} and {shown(known)} differ: the first {told}")


def labelled(root: Path, part: str, classes: tuple[str, ...]) -> list[tuple[ImageFile, int]]:
    """The images of each class of a part, called by their paths from the root.

    Raises:
        DataError: a class has none.
    """
    rows = []
    for label, name in enumerate(classes):
        try:
            images = find_images(root / part / name)
        except ImageError as error:
            raise DataError(f"class {name} cannot be used: {error}") from error
        rows += [(ImageFile(image.path, f"{part}/{name}/{image.name}"), label) for image in images]
    return rows
