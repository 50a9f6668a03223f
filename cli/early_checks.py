"""What can be seen to be wrong in what was typed before any network is loaded and any note is printed."""

from __future__ import annotations

import argparse
from pathlib import Path

from explainers.errors import DataError, ImageError, ModelFileError, OptionError
from explainers.storage.paths import not_there, shown


def check_paths(arguments: argparse.Namespace) -> None:
    """See that files and folders that were typed are there: images, masks, maps, tables.

    Raises:
        ImageError, MapError, DataError: one is not.
    """
    from explainers.data.images.companions import Beside
    from explainers.models.target_words import LIKE
    from explainers.run.targets.regions import MASK
    from explainers.run.true_classes import FOLDERS

    for name in ("ground_truth", "group_by"):
        table = str(getattr(arguments, name, None) or "")
        table = table.rpartition(":")[0] if name == "group_by" else table
        if table and table != FOLDERS and not Path(table).exists():
            columns = "a column file and the groups'" if name == "group_by" else "the columns file,class"
            raise DataError(not_there(table, "file", f"expected a table with {columns}"))
    boxes = getattr(arguments, "boxes", None)
    if boxes is not None and boxes != "detected" and not Path(boxes).is_file():
        raise DataError(not_there(boxes, "file", "expected a table of true boxes, CSV or COCO's, or the word detected"))
    if isinstance(masks := getattr(arguments, "masks", None), str):
        if masks.isdecimal() and not Path(masks).exists():
            raise OptionError(
                f"--masks {masks}: here it names a folder of masks, of what maps should show; the number of RISE's is "
                f"--option rise.masks={masks}"
            )
        Beside(masks, "mask")
    for entry in getattr(arguments, "maps", None) or []:
        title, equals, folder = entry.partition("=")
        Beside(folder if equals else title, "map")
    target, where = (str(getattr(arguments, name, None) or "") for name in ("target", "where"))
    if target.startswith(LIKE) and target != LIKE and not Path(target.removeprefix(LIKE)).exists():
        raise ImageError(f"--target {shown(target)}: {not_there(target.removeprefix(LIKE), 'file')}")
    if where.startswith(MASK) and where != MASK:
        Beside(where.removeprefix(MASK), "mask")
    for name in ("target", "output"):
        file = str(getattr(arguments, name, None) or "").rpartition(":")[0]
        if file.endswith(".py") and not Path(file).exists():
            raise ModelFileError(f"--{name}: {not_there(file, 'file')}")
    image = getattr(arguments, "image", None)
    if image is not None and not Path(image).exists():
        raise ImageError(not_there(image, "file"))


EVALUATE = "a folder, an image file, digits:N, or the folder of a training"
DRIFT = "a data set such as folder:PATH, a folder of images, or digits:N"
RUN = "a folder or a file"


def check_spelling(where: str, expected: str) -> None:
    """See that a name with a colon, which is no file's, is none that is taken elsewhere: digits:N, folder:PATH.

    Args:
        expected: what is taken here.

    Raises:
        OptionError: it is.
    """
    from explainers.data.data_set import READERS
    from explainers.data.sets import data_set_spellings

    kind, colon, rest = where.partition(":")
    if not colon or Path(where).exists():
        return
    if kind == "digits":
        takers = "explain evaluate digits:8 and explain drift --data digits:8 make test images"
        raise OptionError(f"{shown(where)}: expected {expected}" + ("" if "digits" in expected else f"; {takers}"))
    data_set_spellings()  # makes them known
    if kind in READERS:
        inside = f"; is {shown(rest)} meant?" if rest and Path(rest).is_dir() else ""
        raise OptionError(f"{shown(where)} names a data set; expected {expected}{inside}")


def check_images(arguments: argparse.Namespace) -> None:
    """See that there is something to explain, and of which kind it is.

    Raises:
        ImageError: there is nothing. OptionError: it is of several kinds, or flags are made for another one.
    """
    from .input_kind import files_asked, kind_asked

    check_spelling(arguments.images, EVALUATE if arguments.command == "evaluate" else RUN)
    kind_asked(arguments, arguments.images)
    files_asked(arguments, arguments.images)
