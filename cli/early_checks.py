"""What can be seen to be wrong in what was typed before any network is loaded and any note is printed."""

from __future__ import annotations

import argparse
from pathlib import Path

from explainers.errors import DataError, ImageError
from explainers.storage.paths import shown


def check_paths(arguments: argparse.Namespace) -> None:
    """See that files and folders that were typed are there: images, masks, maps, tables.

    Raises:
        ImageError, MapError, DataError: one is not.
    """
    from explainers.data.images.companions import Beside
    from explainers.run.true_classes import FOLDERS

    for name in ("ground_truth", "group_by"):
        table = str(getattr(arguments, name, None) or "")
        table = table.rpartition(":")[0] if name == "group_by" else table
        if table and table != FOLDERS and not Path(table).exists():
            columns = "a column file and the groups'" if name == "group_by" else "the columns file,class"
            raise DataError(f"no file {shown(table)}; expected a table with {columns}")
    boxes = getattr(arguments, "boxes", None)
    if boxes is not None and boxes != "detected" and not Path(boxes).is_file():
        raise DataError(f"no file {shown(boxes)}; expected a table of true boxes, CSV or COCO's, or the word detected")
    if isinstance(masks := getattr(arguments, "masks", None), str):
        Beside(masks, "mask")
    for entry in getattr(arguments, "maps", None) or []:
        title, equals, folder = entry.partition("=")
        Beside(folder if equals else title, "map")
    image = getattr(arguments, "image", None)
    if image is not None and not Path(image).exists():
        raise ImageError(f"no file {shown(image)}")


def check_images(arguments: argparse.Namespace) -> None:
    """See that there is something to explain, and of which kind it is.

    Raises:
        ImageError: there is nothing. OptionError: it is of several kinds, or flags are made for another one.
    """
    from .input_kind import files_asked, kind_asked

    kind_asked(arguments, arguments.images)
    files_asked(arguments, arguments.images)
