"""ImageNet-S (Gao et al. 2022) as its authors' scripts make it: `imagenet-s:PATH`, with 50, 300 or 919 classes.

    PATH/ImageNetS50/train/n01443537/n01443537_10.JPEG
                     train-semi-segmentation/n01443537/n01443537_10.png     (of ten images of a class)
                     validation/n01443537/ILSVRC2012_val_00000236.JPEG
                     validation-segmentation/n01443537/ILSVRC2012_val_00000236.png

A pixel of a mask says its class: red + 256 · green is 1 for the first synset in the order of the alphabet, 2 for the
second, …, 0 for anything else, and 1000 where it shall not count. Masks of `test` are not published.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np

from explainers.data.data_set import DataSet, register_data_set
from explainers.data.images import MAX_PIXELS, ImageFile, read_image
from explainers.data.sets.photographs.image_net import labelled, refuse_other, synsets
from explainers.data.sets.photographs.known import Rows, photographs
from explainers.data.sets.photographs.lists import masks_of, root_with
from explainers.data.sets.splits import FileSplit, folder_of, held_out
from explainers.errors import DataError, MapError
from explainers.storage.paths import shown

SIZES, IGNORED = (50, 300, 919), 1000
NEEDED = ("train", "validation", "validation-segmentation")
SEMI_MASKS = "train-semi-segmentation"
VAL_SHARE = 0.02


class ClassMaskSplit(FileSplit):
    """Images whose masks say the class of each pixel. `mask` is where it is the image's own, "ignored" where no class
    counts, for what is computed with masks: a pixel there is outside of `mask`.
    """

    def __init__(self, rows: Rows, masks: dict[str, tuple[Path, ...]], classes: int) -> None:
        files, labels = [file for file, _ in rows], [label for _, label in rows]
        super().__init__(files, labels, masks, read=lambda path, label: class_pixels(path, classes) == label + 1)
        self._classes = classes
        self.mask_names = (*self.mask_names, "ignored")

    def named_mask(self, index: int, name: str) -> np.ndarray | None:
        """(H, W) bool, of "mask" or "ignored"."""
        if name != "ignored" or self.names[index] not in self.masks:
            return None if name == "ignored" else super().named_mask(index, name)
        return class_pixels(self.masks[self.names[index]][0], self._classes) == IGNORED


@register_data_set(
    "imagenet-s", "imagenet-s:PATH (the folder ImageNetS50, ImageNetS300 or ImageNetS919, or that around it)"
)
def imagenet_s(rest: str) -> DataSet:
    """A fiftieth of each class of `train` is for validation; `validation` with its masks is the test.

    Training images have masks where train-semi-segmentation has one of their name.

    Raises:
        DataError: another layout, another number of classes, or images without a mask.
    """
    given = folder_of(rest, "imagenet-s")
    inside = [f"ImageNetS{size}" for size in SIZES if (given / f"ImageNetS{size}").is_dir()]
    if len(inside) > 1:
        raise DataError(f"{shown(given)} holds {' and '.join(inside)}; name the one that is meant")
    root = root_with(given, (inside or [""])[0], NEEDED, "ImageNet-S")
    classes = synsets(root / "train")
    if len(classes) not in SIZES:
        raise DataError(
            f"{shown(root / 'train')} has {len(classes)} classes; expected 50, 300 or 919, since the numbers in "
            "the masks go by their order"
        )
    refuse_other(root / "validation", synsets(root / "validation"), classes, root / "train")
    train, test = labelled(root, "train", classes), labelled(root, "validation", classes)
    plain = [ImageFile(file.path, file.name.partition("/")[2]) for file, _ in test]
    found = masks_of(plain, root / "validation-segmentation", ".png", "the masks")
    some = _semi_masks(train, root / SEMI_MASKS)
    masks = {f"validation/{name}": paths for name, paths in found.items()} | some
    kept, val = held_out([file.name for file, _ in train], [label for _, label in train], VAL_SHARE)
    kept_rows, val_rows = [train[index] for index in kept], [train[index] for index in val]
    return DataSet(
        f"imagenet-s:{rest}",
        classes,
        photographs("imagenet-s"),
        ClassMaskSplit(kept_rows, masks, len(classes)),
        ClassMaskSplit(val_rows, masks, len(classes)),
        ClassMaskSplit(test, masks, len(classes)),
        masks=True,
        notes=(
            f"{len(val)} of the {len(train)} images of train are for validation; those of validation are the test",
            f"{len(some)} training images have masks",
            "pixels that shall not count (1000) are outside of a mask; they are the mask 'ignored'",
        ),
    )


def class_pixels(path: Path, classes: int) -> np.ndarray:
    """(H, W) int: the class of each pixel from 1, 0 for none of them, 1000 where it shall not count.

    Raises:
        MapError: another number. ImageError: the file cannot be read.
    """
    pixels = read_image(path, max_pixels=MAX_PIXELS).pixels.astype(np.int64)
    found: np.ndarray = pixels[..., 0] + 256 * pixels[..., 1]
    strange = (found > classes) & (found != IGNORED) | (pixels[..., 2] != 0)
    if strange.any():
        red, green, blue = pixels[strange][0]
        raise MapError(
            f"{shown(path)} has a pixel ({red}, {green}, {blue}); expected red + 256 · green of 0 … {classes} or "
            f"{IGNORED}, and no blue"
        )
    return found


def _semi_masks(train: Rows, folder: Path) -> dict[str, tuple[Path, ...]]:
    """By a training image's name its mask, of those that have one."""
    paths = {f"{path.parent.name}/{path.stem}": path for path in folder.glob("n*/*.png")}
    places = {file.name: str(PurePosixPath(file.name).with_suffix("")).partition("/")[2] for file, _ in train}
    return {name: (paths[place],) for name, place in places.items() if place in paths}
