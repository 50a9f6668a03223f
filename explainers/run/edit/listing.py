"""A folder of attention maps to paint on: the training images that a network misreads, as it sees them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from torch import Tensor

from explainers.baselines.training.train import identity
from explainers.data.images import ImageFile, write_image
from explainers.errors import DataError, OptionError, counted
from explainers.run.edit.painted import MAPS, TABLE, is_edited
from explainers.run.edit.pictures import digest, gray_picture, photo_picture, picture_size
from explainers.run.edit.trained import Trained, open_training
from explainers.run.explain.names import bases
from explainers.storage.atomic import write_bytes
from explainers.storage.csv_text import csv_text
from explainers.storage.journal import Row
from explainers.storage.owner import JOURNAL, MANIFEST
from explainers.storage.paths import shown
from explainers.storage.run_folder import Contents, RunFolder

PHOTOS = "photos"
PREVIEWS = "preview-[0-9][0-9][0-9]*.png"
CONTENTS = Contents("edit-list", files=(TABLE, PREVIEWS, MANIFEST, JOURNAL), folders=(MAPS, PHOTOS))
COLUMNS = ("image", "true_class", "predicted_class", "probability", "map", "photo")
Progress = Callable[[int, int, str], None]  # images looked at, of how many, the last one's name


@dataclass(frozen=True)
class EditList:
    """What `edit_list` left. folder: where; rows: of the table, with the columns `COLUMNS`; looked_at: how many
    training images were predicted; misread: how many of these wrongly; edited: images whose maps a person has changed,
    which stay as they are; without_mask: images listed with the network's map though masks were asked for.
    """

    folder: Path
    rows: tuple[Mapping[str, Any], ...]
    looked_at: int
    misread: int
    edited: tuple[str, ...]
    without_mask: tuple[str, ...] = ()


def edit_list(
    run: Trained | str | PathLike[str],
    out: str | PathLike[str],
    *,
    every: bool = False,
    limit: int | None = None,
    from_masks: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> EditList:
    """Write photo and attention map of every training image that a network misreads as pictures, and a table.

    `out`/maps has the maps as gray PNGs (black 0, white 1, as the network uses them; each cell a flat square),
    `out`/photos what the network sees, in the same size, `out`/edit-list.csv a line for each. Paint on any of the maps
    with any program; `edited_maps` finds those that differ from what the network makes. Called again, it goes on where
    it was killed, adds what a larger limit or `every` asks for, and never writes over a map that is there.

    Args:
        run: a training, or its folder; every: images that are read right too; limit: of images in the list, in the
            order of the training images; from_masks: the data set's masks instead of the network's maps, where there
            are some: they count as edited; overwrite: begin anew, unless a map was edited.

    Raises:
        OptionError: a training without attention maps, another list in `out`, or edited maps that overwrite would
        remove. DataError: no image is misread, or none has a mask. ImageError: an image cannot be read.
    """
    if limit is not None and limit < 1:
        raise OptionError(f"limit={limit}; expected at least one image")
    trained = run if isinstance(run, Trained) else open_training(run)
    out = Path(out)
    if out.resolve() == trained.folder.resolve():
        raise OptionError(f"{shown(out)} is the training itself; choose another folder for the maps to edit")
    folder = RunFolder(out, CONTENTS)
    with folder.held():
        if overwrite:
            _refuse_edited(folder)
            folder.clear()
        facts = {
            "weights": trained.sha256,
            "data": identity(trained.data)["sha256"],
            "preprocessing": trained.data.preprocessing.describe(),
            "from_masks": from_masks,
        }
        split = trained.data.train
        if from_masks and all(split.mask(index) is None for index in range(len(split))):
            raise DataError(f"no training image of {shown(trained.data.spec)} has a mask; leave from_masks out")
        done = folder.begin(facts)
        return _List(trained, folder, from_masks, done).write(every, limit, progress)


def _refuse_edited(folder: RunFolder) -> None:
    """Hours of a person's work are not removed by a flag."""
    folder.claim()
    edited = [row["image"] for row in folder.journal.rows() if _kept(folder.path, row) and is_edited(folder.path, row)]
    if edited:
        raise OptionError(
            f"{shown(folder.path)} has {counted(len(edited), 'edited map')} ({', '.join(map(shown, edited[:3]))}"
            f"{' …' if len(edited) > 3 else ''}), which would be lost; choose another folder, or move them away"
        )


class _List:
    """One listing under way."""

    def __init__(self, trained: Trained, folder: RunFolder, from_masks: bool, done: set[str]) -> None:
        self.trained, self.folder, self.from_masks, self.done = trained, folder, from_masks, done
        self.earlier = {row["image"]: row for row in folder.journal.rows()}
        names = trained.data.train.names
        self.bases = bases([ImageFile(Path(name), name) for name in names])
        for base in self.bases.values():
            if PurePosixPath(base).is_absolute() or ".." in PurePosixPath(base).parts:
                raise DataError(f"the training image {base!r} is called like a file elsewhere; no map is written there")
        self.without_mask: list[str] = []
        self.found: set[str] = set()  # images whose map was there before

    def write(self, every: bool, limit: int | None, progress: Progress | None) -> EditList:
        """Every image in its turn, then the table."""
        split = self.trained.data.train
        looked_at = misread = chosen = 0
        for indices, images in self.trained.batches(range(len(split))):
            made = self.trained.branches(images)
            probabilities = made.logits.float().softmax(1).cpu()
            for row, index in enumerate(indices):
                looked_at += 1
                probability, predicted = (each.item() for each in probabilities[row].max(0))
                misread += predicted != split.labels[index]
                if (every or predicted != split.labels[index]) and (limit is None or chosen < limit):
                    chosen += 1
                    self._unit(index, images[row], made.attention_map[row, 0], (int(predicted), probability))
                if progress is not None:
                    progress(looked_at, len(split), split.names[index])
            if limit is not None and chosen == limit:
                break
        rows = self._rows()
        if not rows:
            raise DataError(
                f"the network of {shown(self.trained.folder)} misreads none of its {looked_at} training images; list "
                "all of them with every=True (--all)"
            )
        self._finish(rows)
        before = self.found | self.earlier.keys()
        edited = [row["image"] for row in rows if row["image"] in before and is_edited(self.folder.path, row)]
        table = tuple({column: row[column] for column in COLUMNS} for row in rows)
        return EditList(self.folder.path, table, looked_at, misread, tuple(edited), tuple(self.without_mask))

    def _unit(self, index: int, image: Tensor, map_: Tensor, told: tuple[int, float]) -> None:
        """The files of one image, and its line in the journal; told: predicted class and its probability."""
        data, out = self.trained.data, self.folder.path
        name, base = data.train.names[index], self.bases[data.train.names[index]]
        row: Row = {"image": name, "map": f"{MAPS}/{base}.png", "photo": f"{PHOTOS}/{base}.png"}
        mask = self._mask(index)
        if self.from_masks and mask is None:
            self.without_mask.append(name)
        there = (out / row["map"]).exists()
        if there:
            self.found.add(name)
        if name in self.done and there:
            return
        size = picture_size((map_.shape[0], map_.shape[1]), (image.shape[1], image.shape[2]))
        present = gray_picture(map_, size)
        written = present if mask is None else gray_picture(mask, size)
        row |= {
            "index": index,
            "input": list(image.shape[1:]),
            "true_class": data.class_names[data.train.labels[index]],
            "predicted_class": data.class_names[told[0]],
            "probability": round(told[1], 4),
            "size": list(size),
            "present": digest(present),
            "written": digest(written),
        }
        if not there:
            write_image(out / row["map"], written)
        elif name in self.earlier:  # what was written then, and may have been painted on since
            row |= {key: self.earlier[name][key] for key in ("present", "written")}
        write_image(out / row["photo"], photo_picture(image, data.preprocessing, size))
        self.folder.note(name, [row], [row["photo"]])

    def _mask(self, index: int) -> Tensor | None:
        """A training image's mask over the network's input."""
        data = self.trained.data
        mask = data.train.mask(index) if self.from_masks else None
        return None if mask is None else data.preprocessing.fitted(np.asarray(mask), nearest=True)

    def _rows(self) -> list[Row]:
        """All that was ever listed here, in the order of the training images."""
        return sorted(self.folder.journal.rows(), key=lambda row: int(row["index"]))

    def _finish(self, rows: list[Row]) -> None:
        self.folder.check([row["image"] for row in rows])
        write_bytes(self.folder.path / TABLE, csv_text(COLUMNS, rows).encode("utf-8", "backslashreplace"))
        facts = {
            "status": "done",
            "training": str(self.trained.folder.resolve()),
            "from_masks": self.from_masks,
            "maps": {row["map"]: row["written"] for row in rows},
        }
        self.folder.write_manifest(facts, [TABLE])


def _kept(folder: Path, row: Row) -> bool:
    return (folder / row["map"]).is_file()
