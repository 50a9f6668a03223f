"""Caltech-UCSD Birds 200, 2010 (Welinder et al. 2010), as distributed: `cub200-2010:PATH`.

    PATH/lists/classes.txt, train.txt, test.txt     001.Black_footed_Albatross/Black_footed_Albatross_0001_….jpg
    PATH/images/001.Black_footed_Albatross/….jpg
    PATH/annotations-mat/001.Black_footed_Albatross/….mat     bbox (left, top, right, bottom) and seg (H, W)

The masks are rough outlines, drawn by one person each.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from explainers.data.data_set import DataSet, register_data_set
from explainers.data.images import ImageFile
from explainers.data.sets.photographs.known import Known, photographs
from explainers.data.sets.photographs.lists import existing, lines_of, masks_of, root_with
from explainers.data.sets.photographs.matlab import need_scipy, read_matlab
from explainers.data.sets.splits import Box, folder_of, held_out
from explainers.errors import DataError, MapError
from explainers.storage.paths import shown

ANNOTATIONS = "annotations-mat"
NEEDED = ("lists/classes.txt", "lists/train.txt", "lists/test.txt", "images")
VAL_SHARE = 0.2


@register_data_set("cub200-2010", "cub200-2010:PATH (the folder that holds lists, images and annotations-mat)")
def cub200_2010(rest: str) -> DataSet:
    """2,400 training, 600 validation and 3,033 test images of 200 birds; masks where there is annotations-mat.

    Boxes are masks of the name "box".

    Raises:
        DataError: a file is missing, or a list is not as this module's text has it. DependencyError: there are
        annotations and no SciPy.
    """
    root = root_with(folder_of(rest, "cub200-2010"), "CUB_200", NEEDED, "CUB-200-2010")
    classes = [line for _, line in lines_of(root / "lists" / "classes.txt")]
    order = {name: index for index, name in enumerate(classes)}
    if len(order) < len(classes):
        raise DataError(f"{shown(root / 'lists' / 'classes.txt')} names a class twice")
    train, test = (_listed(root, root / "lists" / f"{part}.txt", order) for part in ("train", "test"))
    both = sorted({file.name for file, _ in train} & {file.name for file, _ in test})
    if both:
        raise DataError(f"{shown(root / 'lists')}: train.txt and test.txt both name {shown(both[0])}")
    known, note = _annotations(root, [file for file, _ in [*train, *test]])
    kept, val = held_out([file.name for file, _ in train], [label for _, label in train], VAL_SHARE)
    return DataSet(
        f"cub200-2010:{rest}",
        tuple(classes),
        photographs("cub200-2010"),
        known.split([train[index] for index in kept]),
        known.split([train[index] for index in val]),
        known.split(test),
        masks=bool(known.masks),
        notes=(f"{len(val)} of the {len(train)} training images, a fifth of each class, are for validation", note),
    )


def _listed(root: Path, path: Path, order: dict[str, int]) -> list[tuple[ImageFile, int]]:
    """The images of a list, each with the class that its folder is called by."""
    lines = lines_of(path)
    for place, line in lines:
        if line.partition("/")[0] not in order:
            raise DataError(
                f"{shown(path)}, line {place}: expected CLASS/IMAGE.jpg, CLASS of classes.txt, found {shown(line)}"
            )
    files = existing(root / "images", [line for _, line in lines], path)
    return [(file, order[file.name.partition("/")[0]]) for file in files]


def _annotations(root: Path, files: Sequence[ImageFile]) -> tuple[Known, str]:
    folder = root / ANNOTATIONS
    if not folder.is_dir():
        return Known(), f"no masks and no boxes: no folder {ANNOTATIONS} in {shown(root)}"
    need_scipy(f"the annotations of {shown(root)}")
    masks = masks_of(files, folder, ".mat", "the annotations")
    return Known(masks, lambda name: _boxes(masks[name][0]), _segmentation), f"masks are those of {shown(folder)}"


def _segmentation(path: Path, label: int) -> np.ndarray:
    mask = np.asarray(read_matlab(path, ("seg",))["seg"])
    if mask.ndim != 2 or mask.dtype.kind not in "buif":
        raise MapError(f"{shown(path)}: expected seg to be a mask (H, W), found shape {mask.shape} of {mask.dtype}")
    if not (mask != 0).any():
        raise MapError(f"the mask {shown(path)} has nothing inside")
    return mask != 0


def _boxes(path: Path) -> tuple[Box, ...]:
    box = read_matlab(path, ("bbox",))["bbox"]
    try:
        return (Box(*(float(getattr(box, side)) for side in Box._fields)),)
    except (AttributeError, TypeError, ValueError) as error:
        raise MapError(f"{shown(path)}: expected bbox with left, top, right and bottom ({error})") from error
