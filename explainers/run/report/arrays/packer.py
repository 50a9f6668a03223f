"""Entries of volumes, signals and clips packed for the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from explainers.data.recordings import Recording
from explainers.errors import ExplainersError, ImageError, MapError
from explainers.render.arrays import largest, spacing_of, walked
from explainers.render.arrays.plain import curve_file, curve_size, gray_slices, slice_file, true_size
from explainers.render.arrays.volumes import strongest
from explainers.render.report import pack_bits
from explainers.render.report.cuts import SAMPLES, below_each_other, bounded, chosen, cut, nearest, place_in, seen_along
from explainers.render.style import limits_of
from explainers.run.kinds.recordings import Recordings
from explainers.run.report.agreement import disagreement, ranks_of
from explainers.run.report.entry import Entry, MapEntry, Shown
from explainers.run.report.gallery import GONE, Packer, Packing, short
from explainers.run.report.maps import CHANNELS, RawMap, load
from explainers.storage.paths import shown as path_shown

AXES = ("axis 0", "axis 1", "axis 2")


@dataclass(frozen=True)
class Field:
    """A map (*axes) over the network's input; axes: of the file that it is of; affine, rate: likewise, or None."""

    values: np.ndarray
    axes: tuple[int, ...]
    affine: np.ndarray | None
    rate: float | None
    note: str


@dataclass(frozen=True)
class Cut(RawMap):
    """What the page keeps of a map: its slices one below the other (S · h, w), or a signal's one row. ends: the scale
    of the whole map; of: rows and columns that there were, where fewer are kept."""

    ends: tuple[float, float] = (0.0, 1.0)
    of: tuple[int, int] | None = None

    def limits(self) -> tuple[float, float]:
        """Of the whole map, not of what is kept of it."""
        return self.ends


class RecordingPacker(Packer):
    """Packs an entry: of a volume or clip slices along the axis of its walk, of a signal its curves.

    No more than 48 slices and 262,144 values of a map are kept, of a signal's map 4096 values; the slice of each map's
    strongest place is among them, and where values are left out, each that stays is the largest of its block.
    """

    def __init__(self, shown: Shown, side: int, kind: Recordings) -> None:
        self.kind = kind
        super().__init__(shown, side)

    def __call__(self, entry: Entry) -> Packing:
        """Everything of a volume, signal or clip."""
        subject, lacking = self._subject(entry)
        looks = [self._look(entry, map_, subject) for map_ in entry.maps]
        good = [look for look in looks if isinstance(look, _Look)]
        axes = good[0].axes if good else subject.axes if subject is not None else None
        head = self.head(entry, (1, 1), lacking, [])
        made = Packing(head)
        if axes is None:
            reasons = [look if isinstance(look, str) else None for look in looks]
            head["maps"] = [self._map(map_, reason) for map_, reason in zip(entry.maps, reasons, strict=True)]
            return made
        signal = len(axes) == 1
        axis = 0 if signal else walked(entry.source, subject)
        places = [] if signal else chosen(axes[axis], [look.peak[axis] for look in good])
        cuts: list[RawMap | str | None] = [
            self._cut(map_, axis, places) if isinstance(look, _Look) else look
            for map_, look in zip(entry.maps, looks, strict=True)
        ]
        head["maps"] = [self._map(map_, each) for map_, each in zip(entry.maps, cuts, strict=True)]
        for line, each in zip(head["maps"], cuts, strict=True):
            if isinstance(each, Cut) and each.of:
                line["of"] = list(each.of)
        made.heavy["maps"] = [each.packed().data if isinstance(each, RawMap) else None for each in cuts]
        if not signal:
            names = subject.axis_names if subject is not None else AXES
            spacing = good[0].spacing if good else (1.0, 1.0, 1.0) if subject is None else spacing_of(subject.affine)
            head["slices"] = seen_along(axis, places, axes, names, spacing)
            for line, look in zip(head["maps"], looks, strict=True):
                line["slice"] = places.index(look.peak[axis]) if isinstance(look, _Look) else len(places) // 2
                line["peak"] = look.peak if isinstance(look, _Look) else None
        else:
            rate = good[0].rate if good else subject.rate if subject is not None else None
            head["line"] = {"length": axes[0], "rate": rate}
        rest = [other for other in range(len(axes)) if other != axis]
        size = (
            curve_size(1 if subject is None else len(subject.values), self.side)
            if signal
            else true_size(axes[rest[0]], axes[rest[1]], [spacing[other] for other in rest])
        )
        head["size"] = [size[1], size[0]]
        drawn = [each for each in cuts if isinstance(each, RawMap)]
        if drawn:
            grid = drawn[0].full.shape
            head["box"], head["input"] = [0, 0, 1, 1], [grid[0] // (len(places) or 1), grid[1]]
            made.heavy["mask"] = self._mask_of(entry, axes, axis, places, head["input"])
            head["masked"] = made.heavy["mask"] is not None
        if any(map_.curves for map_ in entry.maps):
            made.heavy["curves"] = [map_.curves for map_ in entry.maps]
        by_method = {map_.method: look.ranks for map_, look in reversed([*zip(entry.maps, looks, strict=True)])
                     if isinstance(look, _Look)}  # fmt: skip
        made.ranks = [by_method.get(title) for title in self.shown.methods]
        head["disagreement"] = short(disagreement(made.ranks))
        if subject is not None and signal:
            made.photo, made.suffix = curve_file(subject.values, size), ".png"
        elif subject is not None:
            pixels = gray_slices(self._slices(subject.values, axis, places), self.kind.preprocessing.window)
            made.slices = [slice_file(each, size) for each in pixels]
        return made

    def limits_of_all(self, path: Path) -> tuple[float, float]:
        """The ends of a map's own scale."""
        return limits_of(self._field(path).values)

    def _slices(self, values: np.ndarray, axis: int, places: Sequence[int]) -> np.ndarray:
        """(C, *axes) as (C, S, ·, ·)."""
        found: np.ndarray = np.moveaxis(values.take(places, axis + 1), axis + 1, 1)
        return found

    def _field(self, path: Path) -> Field:
        values, saved = load(path, ("image_size",))
        axes = tuple(int(each) for each in saved["image_size"])
        note, count = "", self.kind.preprocessing.axes
        if len(axes) != count or values.ndim not in (count, count + 1) or 0 in values.shape:
            raise MapError(f"the map {path_shown(path.name)} has the shape {values.shape}; expected {count} axes")
        if not np.isfinite(values).all():
            raise MapError(f"the map {path_shown(path.name)} has NaN or infinite values and cannot be drawn")
        if values.ndim > count:
            values, note = largest(values), CHANNELS
        full = tuple(int(each) for each in saved.get("input_size", values.shape))[-count:]
        if values.shape != full:
            values = self.kind.preprocessing.back(values, full)
        rate = saved.get("rate")
        return Field(values, axes, saved.get("affine"), None if rate is None else float(rate), note)

    def _look(self, entry: Entry, map_: MapEntry, subject: Recording | None) -> _Look | str | None:
        """What has to be known of a map before slices are chosen, or why there is none."""
        if not map_.drawn or map_.path is None:
            return None
        try:
            field = self._field(map_.path)
        except MapError as error:
            return str(error)
        peak = [
            place_in(index, count, length)
            for index, count, length in zip(strongest(field.values), field.values.shape, field.axes, strict=True)
        ]
        return _Look(field.axes, peak, spacing_of(field.affine), field.rate, ranks_of(field.values))

    def _cut(self, map_: MapEntry, axis: int, places: Sequence[int]) -> RawMap:
        assert map_.path is not None
        field = self._field(map_.path)
        ends = limits_of(field.values)
        if len(field.axes) == 1:
            whole = field.values[None, None]
            height, width = 1, min(SAMPLES, whole.shape[2])
        else:
            whole = cut(field.values, axis, places, field.axes[axis])
            height, width = bounded(whole.shape)
        flat, of = below_each_other(whole, height, width)
        return Cut(flat, flat, (0.0, 0.0, 1.0, 1.0), (1, 1), field.note, ends=ends, of=of)

    def _subject(self, entry: Entry) -> tuple[Recording | None, str]:
        """What was explained, or why it is not shown."""
        if entry.source is None:
            return None, "" if entry.problem else f"it is not known where the {self.kind.name} lies"
        if not entry.source.exists():
            return None, GONE.replace("photo", self.kind.name)
        try:
            found = self.kind.read(entry.source, self.shown.max_pixels)
            unlike = entry.unlike(found)
        except (ExplainersError, OSError) as error:
            return None, "" if entry.problem else f"the file cannot be read: {error}"
        return (None, unlike.replace("photo", self.kind.name)) if unlike else (found, "")

    def _mask_of(
        self, entry: Entry, axes: tuple[int, ...], axis: int, places: Sequence[int], grid: Sequence[int]
    ) -> dict[str, Any] | None:
        """What the map should show, where its values are kept."""
        if entry.mask is None:
            return None
        try:
            mask = self.kind.mask_in(entry.mask, self.shown.max_pixels)
        except (MapError, ImageError, OSError):
            return None
        if mask.shape != axes:
            return None
        cuts = mask[None, None] if len(axes) == 1 else self._slices(mask[None], axis, places)[0]
        return pack_bits(nearest(cuts, grid[0], grid[1]).reshape(-1, grid[1]))


@dataclass(frozen=True)
class _Look:
    """axes: of the file; peak: the map's strongest place in it; spacing: between places; ranks: for comparisons."""

    axes: tuple[int, ...]
    peak: list[int]
    spacing: tuple[float, ...]
    rate: float | None
    ranks: np.ndarray | None
