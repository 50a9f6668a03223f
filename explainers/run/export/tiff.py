"""The maps of a run as float TIFF, for tools that measure in images: ImageJ, QGIS, MATLAB."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from explainers import __version__
from explainers.errors import DataError, MapError, OptionError
from explainers.run.report.folder import ReadFolder
from explainers.run.report.maps import load
from explainers.storage.atomic import replaced
from explainers.storage.journal import Row
from explainers.storage.paths import shown
from explainers.storage.run_folder import SCHEMA_VERSION

DESCRIPTION = 270  # the TIFF tag ImageDescription
TOLD = ("file", "method", "layer", "target", "target_name", "target_probability", "status")
SOURCE = ".npz"  # of photos; maps of volumes and signals are files of their own format already


@dataclass(frozen=True)
class Pictures:
    """What was written. folder: with the files in it; files: how many; left_out: images and methods without one, each
    with the reason; constant: those whose map is the same everywhere."""

    folder: Path
    files: int
    left_out: tuple[tuple[str, str], ...] = ()
    constant: tuple[str, ...] = ()


def write_tiff(
    folder: str | PathLike[str], out: str | PathLike[str] | None = None, *, overwrite: bool = False
) -> Pictures:
    """Write each map of a finished `explain run` over photos as a TIFF file of 32-bit floats, one after the other.

    The values are those of the run's `maps/`, to the bit, over the network's input; a map with channels has a page for
    each. The description in the file is JSON: image, method, layer, target, `box` (top, left, bottom, right of the map
    in the photo, in pixels), `image_size` (height, width of the photo) and `schema_version`.

    Args:
        folder: of the run; out: where the files go, in the folders of the images (default `tiff` in the folder);
            overwrite: whether files that are there are replaced.

    Raises:
        DataError: the folder holds no run, or one without maps of photos. OptionError: there are files already.
        WriteError: one cannot be written.
    """
    read = ReadFolder(Path(folder))
    if read.command != "run":
        raise DataError(
            f"{shown(folder)} was written by explain {read.command}; TIFF is made of the maps of explain run"
        )
    target = read.path / "tiff" if out is None else Path(out)
    held = target.is_dir() and any(target.iterdir())
    if held and not overwrite:
        raise OptionError(
            f"{shown(target)} holds files; with overwrite (--overwrite) those of the same name are replaced"
        )
    rows = [row for _, unit in read.units() for row in unit]
    if not any(_is_photo(row) for row in rows):
        raise DataError(f"{shown(folder)} holds no maps of photos (was it made with --no-maps?)")
    try:
        return _written(read, target, rows)
    except BaseException:
        if not held:  # all of it is of this call, and the next would be refused because of it
            shutil.rmtree(target, ignore_errors=True)
        raise


def _is_photo(row: Row) -> bool:
    return str(row.get("map", "")).endswith(SOURCE)


def _written(read: ReadFolder, target: Path, rows: Iterable[Row]) -> Pictures:
    files, left_out, constant = 0, [], []
    for row in rows:
        title = ", ".join(filter(None, (str(row.get("file", "")), str(row.get("method", "")))))
        path = read.inside(str(row["map"])) if _is_photo(row) else None
        if path is None:
            kept = "its map is a file of its own format" if row.get("map") else "it has no map"
            left_out.append((title, str(row.get("reason") or kept)))
            continue
        try:
            values, saved = load(path, ("box", "image_size"))
        except MapError as error:
            left_out.append((title, str(error)))
            continue
        facts = {key: row[key] for key in TOLD if row.get(key) not in (None, "")}
        facts |= {"box": saved["box"].tolist(), "image_size": saved["image_size"].tolist()}
        facts |= {"schema_version": SCHEMA_VERSION, "explainers": __version__}
        inside = PurePosixPath(str(row["map"])).relative_to("maps").with_suffix(".tif")
        _write(target / inside, values, facts)
        files += 1
        if row.get("status") == "constant":
            constant.append(title)
    return Pictures(target, files, tuple(left_out), tuple(constant))


def _write(path: Path, values: np.ndarray, facts: dict[str, Any]) -> None:
    """(H, W), or (C, H, W) as pages."""
    pages = [Image.fromarray(np.ascontiguousarray(page)) for page in values.reshape(-1, *values.shape[-2:])]
    told = {DESCRIPTION: json.dumps(facts)}  # ASCII, as the tag has to be
    with replaced(path) as temporary:
        pages[0].save(temporary, format="TIFF", save_all=True, append_images=pages[1:], tiffinfo=told)
