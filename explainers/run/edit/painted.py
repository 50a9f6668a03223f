"""What a person has painted, held to what was written, as maps for a training."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

import numpy as np

from explainers.core.preprocessing import Preprocessing
from explainers.data.data_set import DataSet
from explainers.data.images import read_image
from explainers.data.images.find import SUFFIXES
from explainers.data.images.formats.pillow import pillow_image
from explainers.errors import DataError, ImageError, MapError, counted
from explainers.run.edit.pictures import digest, over_input
from explainers.storage.journal import Journal, Row
from explainers.storage.owner import JOURNAL
from explainers.storage.paths import shown
from explainers.storage.sought import not_written, written_by

MAPS, TABLE = "maps", "edit-list.csv"
TRANSPARENT = "transparency composited on white"
GEOMETRY = ("window", "resize", "longest", "multiple", "crop")  # what of a photo lies where in the input


@dataclass(frozen=True)
class EditedMaps:
    """Maps for some training images, as `train(given={"edited": …})` takes them: by index, (H, W) over the input.

    names: of their images, by index; identity: tells these maps from others, so that a training does not go on with
    others than it began with; notes: what a user should know.
    """

    maps: Mapping[int, np.ndarray] = field(repr=False)
    names: Mapping[int, str]
    identity: str
    notes: tuple[str, ...] = ()

    def __call__(self, index: int) -> np.ndarray | None:
        """(H, W) float32 in 0 … 1, or None where nothing was edited."""
        found = self.maps.get(index)
        return None if found is None else found.astype(np.float32) / 255

    def __len__(self) -> int:
        """How many images have one."""
        return len(self.maps)


def edited_maps(folder: str | PathLike[str], data: DataSet) -> EditedMaps:
    """The maps in a folder of `edit_list` that differ from what the network made.

    A file that was saved again without a change does not count. A picture of another size is fitted where its
    proportions are those of what was written, which a note says.

    Args:
        data: whose training images they are of, with the preprocessing of the network that is to learn from them.

    Raises:
        DataError: no such folder, none of its maps was edited, or it is of other images or another cut of them.
        MapError: a picture with colours, transparency, more than 8 bits or other proportions, or of no image in the
        list. ImageError: a damaged one.
    """
    folder = Path(folder)
    if written_by(folder) != "edit-list":
        raise DataError(not_written(folder, ("edit-list",), "edited maps"))
    journal = Journal(folder / JOURNAL)
    rows = list(journal.rows())
    _check_cut(folder, Preprocessing(**(journal.head() or {})["facts"]["preprocessing"]), data.preprocessing)
    notes = list(_strangers(folder, rows))
    places = {name: index for index, name in enumerate(data.train.names)}
    maps, names, missing = {}, {}, []
    for row in rows:
        path = folder / row["map"]
        if not path.is_file():
            missing.append(row["map"])
            continue
        gray = read_gray(path)
        if digest(gray) == row["present"]:
            continue
        if row["image"] not in places:
            raise DataError(
                f"{shown(path)} was edited, and {shown(data.spec)} has no training image {shown(row['image'])}"
            )
        index = places[row["image"]]
        maps[index] = np.round(over_input(_fitting(path, gray, row, notes), tuple(row["input"])) * 255).astype(np.uint8)
        names[index] = row["image"]
    if missing:
        notes.append(f"{len(missing)} maps of the list are gone and count as not edited ({shown(missing[0])} …)")
    if not maps:
        raise DataError(
            f"none of the {len(rows)} maps in {shown(folder / MAPS)} was edited; paint on some of them first"
        )
    return EditedMaps(maps, names, _identity(maps, names), tuple(notes))


def mask_maps(data: DataSet) -> EditedMaps:
    """The masks of a data set's training images as edited maps: 1 where the class is decided, 0 elsewhere.

    Raises:
        DataError: no training image has one. MapError: a mask of another size than its image.
    """
    maps, names = {}, {}
    for index, name in enumerate(data.train.names):
        mask = data.train.mask(index)
        if mask is not None:
            fitted = data.preprocessing.fitted(np.asarray(mask), nearest=True)
            maps[index], names[index] = (fitted.numpy() * 255).astype(np.uint8), name
    if not maps:
        raise DataError(f"no training image of {shown(data.spec)} has a mask that could stand for an edited map")
    note = f"masks of {len(maps)} of {counted(len(data.train), 'training image')} stand for edited maps"
    return EditedMaps(maps, names, _identity(maps, names), (note,))


def is_edited(folder: Path, row: Row) -> bool:
    """Whether a map differs from what was written; one that cannot be read does."""
    try:
        return digest(read_gray(folder / row["map"])) != row["written"]
    except (ImageError, MapError):
        return True


def read_gray(path: Path) -> np.ndarray:
    """(H, W) uint8 of a picture whose three channels are the same.

    Raises:
        MapError: it has colours, transparent parts or values of more than 8 bits. ImageError: it cannot be read.
    """
    photo = read_image(path)
    notes = [note for note in photo.notes if note != TRANSPARENT or not _opaque(path)]
    if notes:
        told = "transparent parts, of which it is not known what they mean" if TRANSPARENT in notes else notes[0]
        raise MapError(f"the map {shown(path)} has {told}; flatten it and save it as a gray PNG with 8 bits")
    differing = (photo.pixels != photo.pixels[..., :1]).any(axis=2)
    if differing.any():
        row, column = np.argwhere(differing)[0].tolist()
        colour = ", ".join(map(str, photo.pixels[row, column].tolist()))
        raise MapError(
            f"the map {shown(path)} has colours, such as {colour} in row {row}, column {column}; black stands for 0 "
            "and white for 1, so turn it to gray"
        )
    return np.ascontiguousarray(photo.pixels[..., 0])


def _opaque(path: Path) -> bool:
    """Whether an alpha channel hides nothing, as programs write it beside any picture."""
    with pillow_image(path.read_bytes()) as image:
        lowest: int = image.convert("RGBA").getchannel("A").getextrema()[0]
    return lowest == 255


def _fitting(path: Path, gray: np.ndarray, row: Row, notes: list[str]) -> np.ndarray:
    """A picture of the proportions that were written.

    Raises:
        MapError: it has others.
    """
    (height, width), (now_high, now_wide) = row["size"], gray.shape
    if (height, width) == (now_high, now_wide):
        return gray
    if abs(now_high * width - now_wide * height) > max(height, width):  # more than a pixel of rounding
        raise MapError(
            f"the map {shown(path)} has {now_high} × {now_wide} pixels and was written with {height} × {width}: other "
            "proportions, so it is not known where it lies on the photo; do not crop it"
        )
    notes.append(f"{shown(path)} has {now_high} × {now_wide} pixels instead of {height} × {width} and is fitted")
    return gray


def _strangers(folder: Path, rows: list[Row]) -> Iterator[str]:
    """Notes on files beside the maps that are none.

    Raises:
        MapError: a picture of no image in the list.
    """
    known = {row["map"] for row in rows}
    others = 0
    for root, folders, files in os.walk(folder / MAPS):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for name in sorted(files):
            path = Path(root) / name
            if name.startswith(".") or path.relative_to(folder).as_posix() in known:
                continue
            if path.suffix.lower() in SUFFIXES:
                raise MapError(
                    f"{shown(path)} is the map of no image in {TABLE}; save an edited map under the name that it had, "
                    "and keep other pictures elsewhere"
                )
            others += 1
    if others:
        yield f"{others} files in {shown(folder / MAPS)} are no pictures and are passed over"


def _check_cut(folder: Path, listed: Preprocessing, now: Preprocessing) -> None:
    differing = [name for name in GEOMETRY if getattr(listed, name) != getattr(now, name)]
    if differing:
        told = ", ".join(f"{name} {getattr(listed, name)} there, {getattr(now, name)} now" for name in differing)
        raise DataError(
            f"the maps in {shown(folder)} lie on another cut of the photos than the network is to see ({told}); keep "
            "the size and crop of the training, or list the maps anew"
        )


def _identity(maps: Mapping[int, np.ndarray], names: Mapping[int, str]) -> str:
    found = hashlib.sha256()
    for index in sorted(maps):
        found.update(f"{names[index]} {digest(maps[index])}\n".encode("utf-8", "backslashreplace"))
    return found.hexdigest()
