"""The true classes of image files, from a table or from the folders that they lie in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from explainers.core.option_types import whole_number
from explainers.data.images import ImageFile
from explainers.data.label_table import read_labels
from explainers.errors import DataError, OptionError, TargetError
from explainers.models import class_index
from explainers.storage.paths import shown

FOLDERS = "folders"
COLUMNS = ("file", "class")
NAMED = 3  # images without a class that an error names


def labels_of(source: str, files: Sequence[ImageFile], class_names: Sequence[str] | None) -> dict[str, int]:
    """The class index of each image.

    Args:
        source: "folders" (each image lies in a folder that is called like its class), or a CSV file with the columns
            `file` (as results.csv has it: the path from the folder of images) and `class`.
        class_names: of the network; None: classes are indices.

    Raises:
        DataError: an image without a class, or a table that is none. TargetError: a class that the network does not
        have.
    """
    if source == FOLDERS:
        named = {file.name: PurePosixPath(file.name).parent.name for file in files}
        verbs = "lies", "lie"
        what = "in no folder of a class"
    else:
        table = read_labels(Path(source), COLUMNS, lambda label: label or None, "a class")
        named = {file.name: table.get(file.name, "") for file in files}
        verbs = "has", "have"
        what = f"no line in {shown(source)}"
    if missing := [name for name, label in named.items() if not label]:
        others = f" (and {len(missing) - NAMED} more)" if len(missing) > NAMED else ""
        verb = verbs[len(missing) > 1]
        raise DataError(f"{', '.join(missing[:NAMED])}{others} {verb} {what}; every image needs a class")
    index = {label: _index(label, class_names) for label in dict.fromkeys(named.values())}
    return {name: index[label] for name, label in named.items()}


def checked_labels(labels: Any, files: Sequence[ImageFile]) -> Mapping[str, int] | None:
    """The true classes that a caller gives, one for every image.

    Raises:
        OptionError: no mapping of names to indices, or an image without one.
    """
    if labels is not None and (not isinstance(labels, Mapping) or {file.name for file in files} - set(labels)):
        raise OptionError("with a folder of images, labels map the name of every image to its class index")
    return labels


def true_name(label: int | str, class_names: Sequence[str] | None) -> str:
    """How tables and captions call a true class, or what was watched instead of one."""
    if isinstance(label, str):
        return label  # of a target object, which names itself
    return class_names[label] if class_names and 0 <= label < len(class_names) else str(label)


def _index(label: str, class_names: Sequence[str] | None) -> int:
    """By name where there is one that fits, else by number."""
    number = whole_number(label)
    if class_names and (number is None or number < 0 or label in class_names):
        return class_index(label, class_names)
    if number is None or number < 0:
        raise DataError(f"class {label!r}: the class names of this network are not known; give indices")
    if class_names and number >= len(class_names):
        raise TargetError(f"class {label}: the network has classes 0 … {len(class_names) - 1}, counted from 0")
    return number
