"""Photographs of the retina, graded for diabetic retinopathy (Porwal et al. 2018): `idrid:PATH`.

The layout is that of the distributed archives:

    PATH/B. Disease Grading/1. Original Images/a. Training Set/IDRiD_001.jpg …          (413 images, 4288 × 2848)
                                               b. Testing Set/IDRiD_001.jpg …           (103)
                            2. Groundtruths/a. IDRiD_Disease Grading_Training Labels.csv
                                            b. IDRiD_Disease Grading_Testing Labels.csv
    PATH/A. Segmentation/1. Original Images/a. Training Set/IDRiD_01.jpg …              (54, optional)
                                            b. Testing Set/IDRiD_55.jpg …               (27)
                         2. All Segmentation Groundtruths/a. Training Set/1. Microaneurysms/IDRiD_01_MA.tif …

The tables' header is `Image name,Retinopathy grade,Risk of macular edema`, in one of them with empty columns behind it.

**Masks.** The two parts number their images differently, and nothing in the archives says which belong together. A
graded image has lesion masks only where an image of the segmentation part is the same file, byte by byte.

Crop, input size, mean and standard deviation are those of the published code of the Lambda attention branch network
(Iida et al. 2022, keio-smilab21/LambdaAttentionBranchNetworks, `data/IDRID.py` and `data/__init__.py`), whose crop ends
one row below the image; ours ends with it.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from explainers.core.preprocessing import Preprocessing
from explainers.data.data_set import DataSet, register_data_set
from explainers.data.images import ImageFile
from explainers.data.label_table import read_labels
from explainers.data.sets.splits import FileSplit, folder_of, held_out
from explainers.errors import DataError
from explainers.storage.paths import shown

GRADING, SEGMENTATION = "B. Disease Grading", "A. Segmentation"
IMAGES, GRADES, LESIONS = "1. Original Images", "2. Groundtruths", "2. All Segmentation Groundtruths"
TRAIN, TEST = "a. Training Set", "b. Testing Set"
TABLES = {
    TRAIN: "a. IDRiD_Disease Grading_Training Labels.csv",
    TEST: "b. IDRiD_Disease Grading_Testing Labels.csv",
}
COLUMNS = ("Image name", "Retinopathy grade")
CLASSES = {"0": 0, "1": 1, "2": 1, "3": 1, "4": 1}
ENDINGS = {"1. Microaneurysms": "MA", "2. Haemorrhages": "HE", "3. Hard Exudates": "EX", "4. Soft Exudates": "SE"}
VAL_SHARE = 0.2
PREPROCESSING = Preprocessing(
    (224, 224),
    mean=(0.4329, 0.2094, 0.0687),
    std=(0.3083, 0.1643, 0.0829),
    source="idrid",
    window=(290 / 4288, 0.0, 3701 / 4288, 1.0),  # the retina; black on both sides of it
)


@register_data_set("idrid", "idrid:PATH (the folder that holds 'B. Disease Grading')")
def retinas(rest: str) -> DataSet:
    """Grade 0 is normal, 1 … 4 abnormal; of the official training set 20 % of each class are for validation.

    PATH may also be the folder 'B. Disease Grading' itself.

    Raises:
        DataError: a file is missing, or a table is not as this module's text has it.
    """
    root = folder_of(rest, "idrid")
    grading = root / GRADING if (root / GRADING).is_dir() else root
    if not (grading / IMAGES).is_dir():
        raise DataError(
            f"{shown(root)} holds neither {GRADING!r} nor {IMAGES!r}; expected IDRiD's folders as distributed"
        )
    train, labels = _graded(grading, TRAIN)
    kept, val = held_out([file.name for file in train], labels, VAL_SHARE)
    test, test_labels = _graded(grading, TEST)
    masks, note = _masks(grading.parent / SEGMENTATION, [*train, *test], {file.name for file in test})
    tested = FileSplit(test, test_labels, masks)
    return DataSet(
        f"idrid:{rest}",
        ("normal", "abnormal"),
        PREPROCESSING,
        FileSplit([train[index] for index in kept], [labels[index] for index in kept], masks),
        FileSplit([train[index] for index in val], [labels[index] for index in val], masks),
        tested,
        masks=len(tested.masks) == len(tested),
        notes=(f"{len(val)} of the {len(train)} official training images are for validation", note),
    )


def _graded(grading: Path, part: str) -> tuple[list[ImageFile], list[int]]:
    """Images of a part and their classes."""
    table = grading / GRADES / TABLES[part]
    files, labels = [], []
    for name, label in read_labels(table, COLUMNS, CLASSES.get, "a grade 0 … 4").items():
        path = grading / IMAGES / part / f"{name}.jpg"
        if not path.is_file():
            raise DataError(f"no file {shown(path)}, which {shown(table)} names")
        files.append(ImageFile(path, f"{part}/{path.name}"))
        labels.append(label)
    return files, labels


def _masks(folder: Path, files: Sequence[ImageFile], tested: set[str]) -> tuple[dict[str, tuple[Path, ...]], str]:
    """By an image's name the masks of its lesions, and what to tell about them."""
    segmented = [path for part in (TRAIN, TEST) for path in sorted((folder / IMAGES / part).glob("*.jpg"))]
    if not segmented:
        return {}, f"no lesion masks: no images in {shown(folder / IMAGES)}"
    masks = {}
    for name, same in _same_files(files, segmented).items():
        lesions = folder / LESIONS / same.parent.name
        paths = [lesions / kind / f"{same.stem}_{ending}.tif" for kind, ending in ENDINGS.items()]
        if found := tuple(path for path in paths if path.is_file()):
            masks[name] = found
    count = len(tested & set(masks))
    return masks, (
        f"{count} of {len(tested)} test images have lesion masks: those that are the same file as one of the "
        f"{len(segmented)} images of {SEGMENTATION!r}, whose numbers are others"
    )


def _same_files(files: Sequence[ImageFile], others: Sequence[Path]) -> dict[str, Path]:
    """By an image's name the file that is equal to it; only files of one size are read."""
    by_size = defaultdict(list)
    for other in others:
        by_size[other.stat().st_size].append(other)
    same = {}
    for file in files:
        candidates = by_size.get(file.path.stat().st_size, [])
        digest = _digest(file.path) if candidates else ""
        for other in candidates:
            if _digest(other) == digest:
                same[file.name] = other
    return same


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f"cannot read {shown(path)}: {error.strerror}") from error
