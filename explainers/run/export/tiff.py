"""The maps of a run as float TIFF, for tools that measure in images: ImageJ, QGIS, MATLAB."""

from __future__ import annotations

import json
import shutil
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from explainers import __version__
from explainers.errors import OptionError
from explainers.run.export.exported import Exported, Maps, facts_of, finished
from explainers.run.report.folder import ReadFolder
from explainers.storage.atomic import replaced
from explainers.storage.paths import shown
from explainers.storage.run_folder import SCHEMA_VERSION

DESCRIPTION = 270  # the TIFF tag ImageDescription


def write_tiff(
    folder: str | PathLike[str], out: str | PathLike[str] | None = None, *, overwrite: bool = False
) -> Exported:
    """Write each map of a finished `explain run` over photos as a TIFF file of 32-bit floats, one after the other.

    The values are those of the run's `maps/`, to the bit, over the network's input; a map with channels has a page for
    each. The description in the file is JSON: image, method, layer, target, `box` (top, left, bottom, right of the map
    in the photo, in pixels), `image_size` (height, width of the photo) and `schema_version`.

    Args:
        folder: of the run; out: where the files go, in the folders of the images (default `tiff` in the folder);
            overwrite: whether files that are there are replaced.

    Raises:
        DataError: the folder holds no run that has come to its end, or one without maps of photos. OptionError: there
            are files already. WriteError: one cannot be written.
    """
    read = finished(folder, ("run",), "TIFF")
    target = read.path / "tiff" if out is None else Path(out)
    held = target.is_dir() and any(target.iterdir())
    if held and not overwrite:
        raise OptionError(
            f"{shown(target)} holds files; with overwrite (--overwrite) those of the same name are replaced"
        )
    try:
        return _written(read, target)
    except BaseException:
        if not held:  # all of it is of this call, and the next would be refused because of it
            shutil.rmtree(target, ignore_errors=True)
        raise


def _written(read: ReadFolder, target: Path) -> Exported:
    maps, files = Maps(read), 0
    for row, values, place in maps.loaded():
        facts = facts_of(row, **place, schema_version=SCHEMA_VERSION, explainers=__version__)
        inside = PurePosixPath(str(row["map"])).relative_to("maps").with_suffix(".tif")
        _write(target / inside, values, facts)
        files += 1
        maps.took(row)
    return maps.exported(target, {"map": files})


def _write(path: Path, values: np.ndarray, facts: dict[str, Any]) -> None:
    """(H, W), or (C, H, W) as pages."""
    pages = [Image.fromarray(np.ascontiguousarray(page)) for page in values.reshape(-1, *values.shape[-2:])]
    told = {DESCRIPTION: json.dumps(facts)}  # ASCII, as the tag has to be
    with replaced(path) as temporary:
        pages[0].save(temporary, format="TIFF", save_all=True, append_images=pages[1:], tiffinfo=told)
