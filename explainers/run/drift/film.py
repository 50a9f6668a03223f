"""Maps of a few images network by network: film strips, animations, and the images that changed most."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from explainers.core.maps import CONSTANT, is_constant
from explainers.core.preprocessing import Preprocessing
from explainers.data.images import read_image
from explainers.data.images.write import write_animation
from explainers.evaluation.drifting.loaded_network import Classes, Opened
from explainers.evaluation.drifting.methods import Method
from explainers.evaluation.drifting.networks import Checkpoint
from explainers.evaluation.drifting.options import DriftOptions
from explainers.evaluation.drifting.result import Drift
from explainers.render import Scale, contact_sheet, overlay, scale_of
from explainers.render.sheet import AnyCell
from explainers.run.drift.photos import Photos
from explainers.run.figure_files import file_name, written_sheet

COLUMNS = 12  # networks that a strip shows
CHANGED = 10  # images
CELL = 112  # pixels
Picture = tuple[np.ndarray, Scale | None]  # an overlay, with what its colours stand for


@dataclass
class Film:
    """Makes the maps of a few images once more, and draws them.

    networks: checkpoints by name, of which those in `found` are used; preprocessing: of the reference.
    """

    found: Drift
    networks: Mapping[str, Checkpoint]
    photos: Photos
    methods: Sequence[Method]
    options: DriftOptions
    preprocessing: Preprocessing
    constant: set[tuple[str, str, int]] = field(default_factory=set, init=False)
    """Network, method and place of the maps that are the same everywhere, whose overlay is the bare photo."""

    def write(self, out: Path, count: int, format: str = "png") -> list[str]:
        """figure-film-IMAGE of `count` images, as a sheet and in motion (.webp), figure-changed-METHOD; returns names.

        Args:
            format: of sheets, "png", "svg" or "pdf".
        """
        last = self._last()
        chosen = self._chosen(last)[:count]
        changed = {} if last is None else {each: self._changed(each, last) for each in self.found.methods}
        extra = sorted({place for places in changed.values() for place in places})
        pictures: dict[tuple[str, str, int], Picture] = {}
        for name in self.found.checkpoints:
            places = [*chosen, *(extra if name in (self.found.reference, last) else ())]
            if places:
                pictures |= self._pictures(name, list(dict.fromkeys(places)))
        made = []
        for place in chosen:
            made += self._strip(out, place, pictures, format)
        for method, places in changed.items():
            if places and last is not None:
                rows = self._before_and_after(method, places, last, pictures)
                path = out / f"figure-changed-{file_name(method)}.{format}"
                made.append(written_sheet(path, rows, cell=CELL + 16))
        return made

    def _last(self) -> str | None:
        """The network at the end, or the one before it where that is the reference; None where it is alone."""
        others = [name for name in self.found.checkpoints if name != self.found.reference]
        return others[-1] if others else None

    def _changed(self, method: str, last: str) -> list[int]:
        return self.found.changed(method, self.found.similarities[0], last, CHANGED)

    def _chosen(self, last: str | None) -> list[int]:
        """Places among the explained images: the first of each group, then those that the last network changed most."""
        firsts = [np.flatnonzero(self.found.explained == rows[0]) for rows in self.found.groups.values() if len(rows)]
        places = [int(each[0]) for each in firsts if len(each)]
        if last is not None:
            places += self._changed(self.found.methods[0], last)
        return list(dict.fromkeys([*places, *range(len(self.found.explained))]))

    def _file(self, place: int) -> Any:
        name = self.found.names[int(self.found.explained[place])]
        return next(file for file in self.photos.files if file.name == name)

    def _pictures(self, name: str, places: Sequence[int]) -> dict[tuple[str, str, int], Picture]:
        """(network, method, place) → overlay; nothing of maps that cannot be made or drawn."""
        names = {self.found.names[int(self.found.explained[place])]: place for place in places}
        reference = name == self.found.reference
        classes = Classes(self.found.classes, self.found.class_names)
        opened = Opened(self.networks[name], self.options, None if reference else classes)
        opened.count = classes.count
        source = replace(self.photos, files=[self._file(place) for place in places], unread={}).source(
            self.preprocessing, self.options.batch_size
        )
        made = {}
        for batch in source(opened.model):
            rows = self.found.explained[[names[each] for each in batch.names]]
            for method in (each for each in self.methods if each.title in self.found.methods):
                targets = torch.from_numpy(self.found.targets(name, rows))
                try:
                    maps = opened.maps(method, self.options.seed, batch, targets)
                except Exception:  # why there is none stands in the table
                    continue
                for each, one in zip(batch.names, maps.numpy(), strict=True):
                    if np.isfinite(one).all():
                        if is_constant(torch.from_numpy(one)):
                            self.constant.add((name, method.title, names[each]))
                        made[name, method.title, names[each]] = self._overlay(names[each], one)
        del opened
        gc.collect()
        return made

    def _overlay(self, place: int, one: np.ndarray) -> Picture:
        photo = self._photo(place)
        return overlay(photo, one, box=self.preprocessing.box(photo.shape[0], photo.shape[1])), scale_of(one)

    def _photo(self, place: int) -> np.ndarray:
        return read_image(self._file(place).path, max_pixels=self.photos.max_pixels).pixels

    def _strip(self, out: Path, place: int, pictures: Mapping[tuple[str, str, int], Picture], format: str) -> list[str]:
        """Rows are methods, columns networks; below each name its likeness to the reference."""
        image = self.found.names[int(self.found.explained[place])]
        stem = f"figure-film-{file_name(Path(image).with_suffix('').as_posix())}"
        names = [
            name for name in self.found.checkpoints if any((name, m, place) in pictures for m in self.found.methods)
        ]
        if not names:
            return []
        photo = self._photo(place)
        empty: Picture = (np.full_like(photo, 255), None)
        shown = [names[each] for each in np.unique(np.linspace(0, len(names) - 1, COLUMNS).round().astype(int))]
        said = f"{self._group(place)}{image}"
        rows: list[list[AnyCell]] = []
        for method in self.found.methods:
            line: list[AnyCell] = [(f"{method}\n{said}", photo)]
            line += [
                (f"{name}\n{self._value(name, method, place)}", *pictures.get((name, method, place), empty))
                for name in shown
            ]
            rows.append(line)
        sheet = written_sheet(out / f"{stem}.{format}", rows, cell=CELL)
        frames = [self._frame(name, place, photo, pictures.get, empty) for name in names]
        write_animation(out / f"{stem}.webp", frames)
        return [sheet, f"{stem}.webp"]

    def _frame(self, name: str, place: int, photo: np.ndarray, picture: Any, empty: Picture) -> np.ndarray:
        line: list[AnyCell] = [(f"{name}\n", photo)]
        for method in self.found.methods:
            drawn = picture((name, method, place), empty)[0]  # without a bar, so that all frames have one size
            line.append((f"{method}\n{self._value(name, method, place)}", drawn))
        return contact_sheet([line], cell=CELL + 32)

    def _group(self, place: int) -> str:
        row = int(self.found.explained[place])
        group = next((name for name, rows in self.found.groups.items() if row in rows), "")
        return f"{group}: " if group else ""

    def _value(self, name: str, method: str, place: int) -> str:
        similarity = self.found.similarities[0]
        value = self.found.likeness[name, method][similarity][place]
        if (name, method, place) in self.constant:
            return CONSTANT
        if name == self.found.reference:
            return "reference"
        return "–" if np.isnan(value) else f"{similarity} {value:.2f}"

    def _before_and_after(
        self, method: str, places: Sequence[int], last: str, pictures: Mapping[tuple[str, str, int], Picture]
    ) -> list[list[AnyCell]]:
        """Two images a row, each with the reference's map and that of the last network."""
        cells: list[list[AnyCell]] = []
        for number, place in enumerate(places):
            photo = self._photo(place)
            empty: Picture = (np.full_like(photo, 255), None)
            three: list[AnyCell] = [(f"{self.found.names[int(self.found.explained[place])]}\n", photo)]
            for name in (self.found.reference, last):
                caption = f"{name}\n{self._value(name, method, place)}"
                three.append((caption, *pictures.get((name, method, place), empty)))
            if number % 2:
                cells[-1] += three
            else:
                cells.append(three)
        return cells
