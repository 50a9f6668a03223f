"""Folders of images whose subfolders are classes: `folder:PATH`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from explainers.core.preprocessing import Preprocessing
from explainers.data.data_set import DataSet, register_data_set
from explainers.data.images import ImageFile, find_images
from explainers.data.images.companions import Beside
from explainers.data.sets.splits import IMAGENET_MEAN, IMAGENET_STD, FileSplit, divided, folder_of, fraction_of
from explainers.errors import DataError, ImageError, MapError
from explainers.storage.paths import shown

SHARES = (0.7, 0.15, 0.15)  # train, val, test of class folders without a split
VAL_SHARE = 0.2  # of train, where there is no val folder
VAL_FOLDERS = ("val", "valid", "validation")
MASKS = "masks"
OF_A_TRAINING = "run.json"  # a folder with it is what a training left, not a class

Labelled = list[tuple[ImageFile, int]]


@register_data_set("folder", "folder:PATH (PATH/train/CLASS/… and PATH/val/CLASS/…, or PATH/CLASS/…)")
def class_folders(rest: str) -> DataSet:
    """Images in one folder per class.

    Either `PATH/train/CLASS/…` with `PATH/val/CLASS/…` (or `valid`, `validation`; without it 20 % of train) and perhaps
    `PATH/test/CLASS/…`, or `PATH/CLASS/…`, divided into 70 % train, 15 % val, 15 % test. Divisions go by a hash of each
    image's name alone: no new image moves another one, but for classes so small that an image had to be lent to a part.
    `PATH/masks` mirrors the images' paths and is no class.

    Raises:
        DataError: another layout, fewer than two classes, other classes in another split, or a class too small.
    """
    root = folder_of(rest, "folder")
    spec = f"folder:{rest}"
    if (root / "train").is_dir():
        classes, parts, notes = _ready(root)
    else:
        classes, parts, notes = _undivided(root)
    beside = Beside(root / MASKS, "mask") if (root / MASKS).is_dir() else None
    splits = [_split(part, beside) for part in parts]
    test = splits[2] if len(splits[2]) else None
    with_mask = len(test.masks) if test else 0
    if test and 0 < with_mask < len(test):
        notes.append(f"{with_mask} of {len(test)} test images have masks")
    return DataSet(
        spec,
        classes,
        Preprocessing(256, (224, 224), IMAGENET_MEAN, IMAGENET_STD, source="folder"),
        splits[0],
        splits[1],
        test,
        masks=test is not None and with_mask == len(test),
        notes=tuple(notes),
    )


def _ready(root: Path) -> tuple[tuple[str, ...], list[Labelled], list[str]]:
    """Classes, train, val and test images, notes, of folders that are split already."""
    vals = [name for name in VAL_FOLDERS if (root / name).is_dir()]
    if len(vals) > 1:
        raise DataError(f"{shown(root)} has the folders {' and '.join(vals)}; leave the one with validation images")
    classes = _classes(root / "train")
    for name in (*vals, "test"):
        if (root / name).is_dir():
            _compare(root, classes, name)
    train = _labelled(root, root / "train", classes)
    test = _labelled(root, root / "test", classes) if (root / "test").is_dir() else []
    if vals:
        return classes, [train, _labelled(root, root / vals[0], classes), test], []
    (train, val), lent = _divided(root, train, classes, (1 - VAL_SHARE, VAL_SHARE))
    note = f"no val folder: {len(val)} images of train, by a hash of their names, are for validation"
    return classes, [train, val, test], [note, *lent]


def _undivided(root: Path) -> tuple[tuple[str, ...], list[Labelled], list[str]]:
    """The same of class folders without a split."""
    found = [name for name in (*VAL_FOLDERS, "test") if (root / name).is_dir()]
    if found:
        raise DataError(
            f"{shown(root)} has a folder {found[0]} and no folder train; expected train/CLASS/… beside it, or CLASS/… "
            "alone"
        )
    classes = _classes(root)
    parts, lent = _divided(root, _labelled(root, root, classes), classes, SHARES)
    notes = [f"split by a hash of each name: {len(parts[0])} train, {len(parts[1])} val, {len(parts[2])} test images"]
    notes += lent
    tested = {label for _, label in parts[2]}
    absent = [name for label, name in enumerate(classes) if label not in tested]
    if absent:
        notes.append(f"no test images of {', '.join(absent)}")
    return classes, parts, notes


def _classes(folder: Path) -> tuple[str, ...]:
    """Names of the class folders, sorted."""
    names = _folders(folder)
    if len(names) < 2:
        found = f"only {shown(names[0])}" if names else "none"
        raise DataError(f"{shown(folder)} needs a folder of images for each of at least two classes; there is {found}")
    return names


def _folders(folder: Path) -> tuple[str, ...]:
    names = [path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return tuple(sorted(name for name in names if name != MASKS and not (folder / name / OF_A_TRAINING).exists()))


def _compare(root: Path, classes: tuple[str, ...], name: str) -> None:
    other = _folders(root / name)
    if other == classes:
        return
    only = {"train": sorted(set(classes) - set(other)), name: sorted(set(other) - set(classes))}
    told = "; ".join(f"only {place} has {', '.join(map(shown, names))}" for place, names in only.items() if names)
    raise DataError(f"the classes of {shown(root / name)} and {shown(root / 'train')} differ: {told}")


def _labelled(root: Path, folder: Path, classes: Sequence[str]) -> Labelled:
    """Images below each class's folder, named by their paths from the root."""
    found = []
    for label, name in enumerate(classes):
        try:
            images = find_images(folder / name)
        except ImageError as error:
            raise DataError(f"class {shown(name)} cannot be used: {error}") from error
        prefix = (folder / name).relative_to(root).as_posix()
        found += [(ImageFile(image.path, f"{prefix}/{image.name}"), label) for image in images]
    return found


def _divided(
    root: Path, images: Labelled, classes: Sequence[str], shares: Sequence[float]
) -> tuple[list[Labelled], list[str]]:
    """The images in parts, train, val and perhaps test, and notes on classes of which one was lent.

    A class that the hashes leave out of train or val gets an image there from the part where it has most.
    """
    parts = [[images[index] for index in part] for part in divided([file.name for file, _ in images], shares)]
    notes = []
    for kind, part in zip(("train", "val"), parts, strict=False):
        for label, name in enumerate(classes):
            if any(own == label for _, own in part):
                continue
            own = [[pair for pair in each if pair[1] == label] for each in parts]
            # The last one of train or val stays there; a test part may be left without a class.
            spare = [len(mine) - (place < 2) for place, mine in enumerate(own)]
            richest = spare.index(max(spare))
            if spare[richest] < 1:
                raise DataError(
                    f"class {shown(name)} of {shown(root)} has one image; it needs one to train and one to validate"
                )
            lent = min(own[richest], key=lambda pair: fraction_of(pair[0].name))
            parts[richest].remove(lent)
            part.append(lent)
            notes.append(
                f"class {shown(name)} is small: {shown(lent[0].name)} was lent to {kind}, which had none of it"
            )
    return parts, notes


def _split(images: Labelled, beside: Beside | None) -> FileSplit:
    masks = {}
    if beside is not None:
        try:
            found = {file.name: beside.find(file.name) for file, _ in images}
        except MapError as error:
            raise DataError(str(error)) from error
        masks = {name: (path,) for name, path in found.items() if path is not None}
    return FileSplit([file for file, _ in images], [label for _, label in images], masks)
