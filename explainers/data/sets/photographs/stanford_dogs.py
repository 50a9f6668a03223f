"""Stanford Dogs (Khosla et al. 2011), as distributed: `stanford-dogs:PATH`.

PATH/Images/n02085620-Chihuahua/n02085620_10074.jpg
PATH/Annotation/n02085620-Chihuahua/n02085620_10074     (XML with boxes)
PATH/lists/train_list.mat, test_list.mat                file_list and labels (1 … 120); also in PATH itself
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from explainers.data.data_set import DataSet, register_data_set
from explainers.data.images import ImageFile
from explainers.data.sets.photographs.annotations import annotated_boxes
from explainers.data.sets.photographs.known import Known, photographs
from explainers.data.sets.photographs.lists import existing, masks_of, root_with
from explainers.data.sets.photographs.matlab import read_matlab
from explainers.data.sets.splits import folder_of, held_out
from explainers.errors import DataError
from explainers.storage.paths import shown

LISTS, BOXES = {"train": "train_list.mat", "test": "test_list.mat"}, "Annotation"
VAL_SHARE = 0.1


@register_data_set("stanford-dogs", "stanford-dogs:PATH (the folder that holds Images, lists and Annotation)")
def stanford_dogs(rest: str) -> DataSet:
    """10,800 training, 1,200 validation and 8,580 test images of 120 breeds.

    There are no masks; the boxes, of each image all of them, are masks of the name "box" where Annotation is there.

    Raises:
        DataError: a file is missing, or a list is not as this module's text has it. DependencyError: SciPy is missing.
    """
    root = root_with(folder_of(rest, "stanford-dogs"), "", ("Images",), "Stanford Dogs")
    folder = root / "lists" if (root / "lists").is_dir() else root
    listed = {part: _listed(root, folder / name) for part, name in LISTS.items()}
    classes = _classes(listed, folder)
    both = sorted({file.name for file, _ in listed["train"]} & {file.name for file, _ in listed["test"]})
    if both:
        raise DataError(f"{shown(folder)}: both lists name {shown(both[0])}")
    known, note = Known(), f"no boxes: no folder {BOXES} in {shown(root)}"
    if (root / BOXES).is_dir():
        files = [file for rows in listed.values() for file, _ in rows]
        boxes = masks_of(files, root / BOXES, "", "the boxes")
        known = Known({}, lambda name: annotated_boxes(boxes[name][0]))
        note = "boxes for metrics of boxes, no masks"
    order = {label: index for index, label in enumerate(sorted(classes))}
    train, test = ([(file, order[label]) for file, label in listed[part]] for part in LISTS)
    kept, val = held_out([file.name for file, _ in train], [label for _, label in train], VAL_SHARE)
    return DataSet(
        f"stanford-dogs:{rest}",
        tuple(classes[label] for label in sorted(classes)),
        photographs("stanford-dogs"),
        known.split([train[index] for index in kept]),
        known.split([train[index] for index in val]),
        known.split(test),
        notes=(f"{len(val)} of the {len(train)} training images, a tenth of each class, are for validation", note),
    )


def _listed(root: Path, path: Path) -> list[tuple[ImageFile, int]]:
    """The images of a list with their numbers of a class."""
    found = read_matlab(path, ("file_list", "labels"))
    names, labels = np.atleast_1d(found["file_list"]), np.atleast_1d(found["labels"])
    if names.shape != labels.shape or names.ndim != 1:
        raise DataError(f"{shown(path)}: expected as many labels as files, found {labels.shape} and {names.shape}")
    if not all(isinstance(name, str) and "/" in name for name in names) or labels.dtype.kind not in "uif":
        raise DataError(f"{shown(path)}: expected file_list to be paths CLASS/IMAGE.jpg, and labels to be numbers")
    files = existing(root / "Images", [str(name) for name in names], path)
    return [(file, int(label)) for file, label in zip(files, labels, strict=True)]


def _classes(listed: dict[str, list[tuple[ImageFile, int]]], folder: Path) -> dict[int, str]:
    """The name of each number: that of the folder without the number that ImageNet gives it."""
    of_label: dict[int, str] = {}
    for rows in listed.values():
        for file, label in rows:
            own = file.name.partition("/")[0]
            if of_label.setdefault(label, own) != own:
                raise DataError(
                    f"{shown(folder)}: the lists give {shown(own)} and {shown(of_label[label])} the same label {label}"
                )
    for part, rows in listed.items():
        if lacking := sorted(set(of_label) - {label for _, label in rows}):
            raise DataError(f"{shown(folder / LISTS[part])} names no image of {shown(of_label[lacking[0]])}")
    if len(set(of_label.values())) < len(of_label):
        raise DataError(f"{shown(folder)}: the lists give a class two labels")
    return {label: name.partition("-")[2] or name for label, name in of_label.items()}
