"""Caltech-UCSD Birds 200, 2011 (Wah et al. 2011), as distributed: `cub200-2011:PATH`.

    PATH/CUB_200_2011/images.txt               1 001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg
                      train_test_split.txt     1 0             (1: training image)
                      classes.txt              1 001.Black_footed_Albatross
                      image_class_labels.txt   1 1
                      bounding_boxes.txt       1 60.0 27.0 325.0 304.0     (x, y, width, height)
                      images/001.Black_footed_Albatross/….jpg
    PATH/segmentations/001.Black_footed_Albatross/….png     (an archive of its own; also inside CUB_200_2011)

A segmentation is gray: how many of five people took a pixel for the bird. From 128 on it was most of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from explainers.data.data_set import DataSet, register_data_set
from explainers.data.images import ImageFile
from explainers.data.sets.photographs.known import Known, photographs
from explainers.data.sets.photographs.lists import existing, masks_of, numbered, refuse_gaps, root_with, str_of
from explainers.data.sets.splits import Box, folder_of, held_out
from explainers.errors import DataError
from explainers.storage.paths import shown

NEEDED = (
    "images.txt",
    "train_test_split.txt",
    "classes.txt",
    "image_class_labels.txt",
    "bounding_boxes.txt",
    "images",
)
SEGMENTATIONS = "segmentations"
VAL_SHARE = 1 / 6  # rounded down: 994 of the 5,994 training images, as many as the study of attention lattices


@register_data_set("cub200-2011", "cub200-2011:PATH (the folder that holds CUB_200_2011 and perhaps segmentations)")
def cub200_2011(rest: str) -> DataSet:
    """5,000 training, 994 validation and 5,794 test images of 200 birds; masks where there are segmentations.

    PATH may also be the folder CUB_200_2011 itself. Boxes are masks of the name "box".

    Raises:
        DataError: a file is missing, or a list is not as this module's text has it.
    """
    root = root_with(folder_of(rest, "cub200-2011"), "CUB_200_2011", NEEDED, "CUB-200-2011")
    lists = {name: root / name for name in NEEDED[:5]}
    names = numbered(lists["images.txt"], str_of, "the path of an image")
    trained = numbered(lists["train_test_split.txt"], _flag, "0 or 1")
    classes = numbered(lists["classes.txt"], str_of, "the name of a class")
    labels = numbered(lists["image_class_labels.txt"], int, "the number of a class")
    boxes = numbered(lists["bounding_boxes.txt"], _box, "x, y, width and height of a box")
    others: dict[Path, Iterable[int]] = {
        lists["train_test_split.txt"]: trained,
        lists["image_class_labels.txt"]: labels,
    }
    refuse_gaps(names, lists["images.txt"], {**others, lists["bounding_boxes.txt"]: boxes})
    for number, label in labels.items():
        if label not in classes:
            raise DataError(
                f"{shown(lists['image_class_labels.txt'])} gives {shown(names[number])} the class {label}, which "
                f"{shown(lists['classes.txt'])} does not name"
            )
    files = existing(root / "images", list(names.values()), lists["images.txt"])
    order = {number: index for index, number in enumerate(sorted(classes))}
    rows = [(file, order[labels[number]]) for number, file in zip(names, files, strict=True)]
    masks, note = _segmentations(root, files)
    known = Known(masks, {names[number]: (box,) for number, box in boxes.items()}.__getitem__)
    training = [row for number, row in zip(names, rows, strict=True) if trained[number]]
    tests = [row for number, row in zip(names, rows, strict=True) if not trained[number]]
    if not training or not tests:
        raise DataError(f"{shown(lists['train_test_split.txt'])} has no {'test' if training else 'training'} image")
    kept, val = held_out([file.name for file, _ in training], [label for _, label in training], VAL_SHARE, math.floor)
    return DataSet(
        f"cub200-2011:{rest}",
        tuple(classes[number] for number in sorted(classes)),
        photographs("cub200-2011"),
        known.split([training[index] for index in kept]),
        known.split([training[index] for index in val]),
        known.split(tests),
        masks=bool(masks),
        notes=(f"{len(val)} of the {len(training)} training images, a sixth of each class, are for validation", note),
    )


def _segmentations(root: Path, files: list[ImageFile]) -> tuple[dict[str, tuple[Path, ...]], str]:
    """By an image's name its segmentation, and what to tell of them."""
    for folder in (root / SEGMENTATIONS, root.parent / SEGMENTATIONS):
        if folder.is_dir():
            return masks_of(files, folder, ".png", "the segmentations"), f"masks are those of {shown(folder)}"
    return (
        {},
        f"no masks of the birds: no folder {SEGMENTATIONS} in or beside {shown(root)}; boxes are for metrics of boxes",
    )


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError(text)
    return text == "1"


def _box(text: str) -> Box:
    left, top, width, height = (float(each) for each in text.split())
    if not all(map(math.isfinite, (left, top, width, height))) or width <= 0 or height <= 0:
        raise ValueError(text)
    return Box(left, top, left + width, top + height)
