"""Entries packed for the page: photos as JPEG, maps as text, and what the gallery sorts by. Memory is one chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from explainers.core.preprocessing import Preprocessing
from explainers.data.images import MAX_PIXELS, Photo, read_image
from explainers.data.images.companions import read_mask
from explainers.data.images.read_ahead import read_ahead
from explainers.errors import ExplainersError, ImageError, MapError
from explainers.render.report import Sink, as_jpeg, pack_bits
from explainers.render.style import limits_of
from explainers.run.evaluate.stored_maps import placed
from explainers.run.report.agreement import Agreement, disagreement, ranks_of
from explainers.run.report.entry import Entry, MapEntry, Shown
from explainers.run.report.maps import RawMap, read_map

READERS = 4
CHUNK, HEAVY = 100, 750_000  # images of a chunk at most, characters from which it is full
GONE = "the image file is no longer where it was: its photo is not shown"
Progress = Callable[[int, int], None]


@dataclass
class Packing:
    """An image on its way: what the page holds of it, what its chunk holds, its photo, or its slices."""

    head: dict[str, Any]
    heavy: dict[str, Any] = field(default_factory=dict)
    photo: bytes | None = None
    suffix: str = ".jpg"
    slices: list[bytes] = field(default_factory=list)
    ranks: list[np.ndarray | None] = field(default_factory=list)


@dataclass
class Gallery:
    """What became of the entries. images: as the page holds them; agreement: between methods; gone: photos that are
    not shown, constant: maps that are the same everywhere, by method."""

    images: list[dict[str, Any]]
    agreement: Agreement
    gone: int = 0
    constant: dict[str, int] = field(default_factory=dict)


def gallery(
    shown: Shown, sink: Sink, side: int, progress: Progress | None = None, packer: Packer | None = None
) -> Gallery:
    """Pack all entries into the sink.

    Args:
        side: pixels of the longer side of photos; progress: called with (images done, of how many); packer: of entries
            that are no photos.
    """
    readers = READERS if packer is None else 1  # volumes are large
    packer = packer or Packer(shown, side)
    found = Gallery([], Agreement(shown.methods))
    chunk: dict[str, Any] = {}
    weight, number = 0, 0
    with ThreadPoolExecutor(readers) as pool:
        for index, made in enumerate(_in_order(pool, packer, shown.entries)):
            photo = None if made.photo is None else sink.picture(f"{index:06d}{made.suffix}", made.photo)
            if photo is not None:
                (made.heavy if sink.single else made.head)["photo"] = photo
            if made.slices:
                named = enumerate(made.slices)
                made.heavy["photos"] = [sink.picture(f"{index:06d}-{at:02d}.jpg", each) for at, each in named]
            found.gone += made.photo is None and not made.slices
            found.agreement.add(made.ranks)
            for map_ in made.head["maps"]:
                if map_["status"] == "constant":
                    title = [*shown.methods, *shown.controls][map_["method"]]
                    found.constant[title] = found.constant.get(title, 0) + 1
            made.head["chunk"] = number
            found.images.append(made.head)
            chunk[str(index)] = made.heavy
            weight += sum(len(each) for each in made.heavy.get("maps", []) if each)
            if weight >= HEAVY or len(chunk) == CHUNK:
                sink.chunk(number, chunk)
                chunk, weight, number = {}, 0, number + 1
            if progress:
                progress(index + 1, len(shown.entries))
    if chunk:
        sink.chunk(number, chunk)
    return found


def _in_order(pool: ThreadPoolExecutor, packer: Packer, entries: Sequence[Entry]) -> Iterator[Packing]:
    yield from read_ahead(pool, entries, packer, 2 * READERS)


class Packer:
    """Packs an entry.

    Args:
        side: pixels of the longer side of photos.
    """

    def __init__(self, shown: Shown, side: int) -> None:
        self.shown, self.side = shown, side
        self.places = {title: index for index, title in enumerate([*shown.methods, *shown.controls])}
        told = shown.preprocessing
        self.preprocessing = None if told is None or "kind" in told else Preprocessing(**told)
        self.limits = _common_limits(shown, self.limits_of_all) if shown.common else {}

    def __call__(self, entry: Entry) -> Packing:
        """Everything of an image."""
        raws = [self._raw(map_) for map_ in entry.maps]
        drawn = [raw for raw in raws if isinstance(raw, RawMap)]
        photo, lacking = self._photo(entry, drawn[0].size if drawn else None)
        height, width = photo.pixels.shape[:2] if photo is not None else drawn[0].size if drawn else (1, 1)
        lines = [self._map(map_, raw) for map_, raw in zip(entry.maps, raws, strict=True)]
        head = self.head(entry, (width, height), lacking, lines)
        made = Packing(head)
        if drawn:
            top, left, bottom, right = drawn[0].box
            head["box"] = [short(each) for each in (top / height, left / width, bottom / height, right / width)]
            head["input"] = list(drawn[0].full.shape)
        made.heavy["maps"] = [raw.packed().data if isinstance(raw, RawMap) else None for raw in raws]
        regions = [_region(map_, raw) for map_, raw in zip(entry.maps, raws, strict=True)]
        if any(regions):
            made.heavy["regions"] = regions
        if any(map_.curves for map_ in entry.maps):
            made.heavy["curves"] = [map_.curves for map_ in entry.maps]
        by_method: dict[str, np.ndarray | None] = {}
        for map_, raw in zip(entry.maps, raws, strict=True):
            if isinstance(raw, RawMap) and map_.method not in by_method:
                by_method[map_.method] = ranks_of(raw.full)
        made.ranks = [by_method.get(title) for title in self.shown.methods]
        head["disagreement"] = short(disagreement(made.ranks))
        if photo is not None:
            made.photo, head["mean"] = self._jpeg(photo.pixels, drawn[0].box if drawn else None)
            if entry.mask is not None and drawn:
                made.heavy["mask"] = self._mask(entry, photo, drawn[0].full.shape)
                head["masked"] = made.heavy["mask"] is not None
        return made

    def head(self, entry: Entry, size: tuple[int, int], lacking: str, maps: list[dict[str, Any]]) -> dict[str, Any]:
        """What the page holds of every image; size: (width, height)."""
        head: dict[str, Any] = {
            "name": _told(entry.name),
            "size": list(size),
            "predicted": entry.predicted,
            "probability": short(entry.probability),
            "true": entry.true,
            "right": entry.right,
            "notes": entry.notes,
            "problem": entry.problem,
            "lacking": lacking,
            "maps": maps,
        }
        if entry.source is not None and _is_text(str(entry.source)):
            head["path"] = str(entry.source)
        return head

    def limits_of_all(self, path: Path) -> tuple[float, float]:
        """The ends of a map's own scale."""
        return limits_of(read_map(path).full)

    def _raw(self, map_: MapEntry) -> RawMap | str | None:
        """The raw map, or why there is none."""
        if not map_.drawn or map_.path is None:
            return None
        try:
            return read_map(map_.path)
        except MapError as error:
            return str(error)

    def _map(self, map_: MapEntry, raw: RawMap | str | None) -> dict[str, Any]:
        """A map's line on the page."""
        found: dict[str, Any] = {
            "method": self.places[map_.method],
            "target": map_.target,
            "watched": short(map_.watched),
            "quantity": map_.quantity,
            "status": map_.status,
            "reason": map_.reason,
            "layer": map_.layer,
            "values": [short(map_.values.get(score)) for score in self.shown.scores],
        }
        if isinstance(raw, str):
            found["status"], found["reason"] = "failed", raw
        if isinstance(raw, RawMap):
            low, high = self.limits.get(map_.method) or raw.limits()
            found |= raw.packed().head() | {"limits": [low, high], "signed": low < 0}
            found["reason"] = "; ".join(filter(None, (map_.reason, raw.note)))
            if map_.box is not None:
                found["boxed"] = [short(each / side) for each, side in zip(map_.box, 2 * raw.size[::-1], strict=True)]
        return found

    def _photo(self, entry: Entry, size: tuple[int, int] | None) -> tuple[Photo | None, str]:
        """The photo that was explained, or why it is not shown."""
        if entry.source is None:
            return None, "" if entry.problem else "it is not known where the image file lies"
        if not entry.source.is_file():
            return None, GONE
        reading = {} if self.preprocessing is None else self.preprocessing.reading()
        try:
            photo = read_image(entry.source, max_pixels=self.shown.max_pixels or MAX_PIXELS, **reading)
            unlike = entry.unlike(photo)
        except (ExplainersError, OSError) as error:
            return None, "" if entry.problem else f"the image file cannot be read: {error}"
        if not unlike and size is not None and photo.pixels.shape[:2] != size:
            unlike = "the file has another size than when it was explained: its photo is not shown"
        return (None, unlike) if unlike else (photo, "")

    def _jpeg(self, pixels: np.ndarray, box: Sequence[float] | None) -> tuple[bytes, list[int]]:
        """A photo as JPEG, no larger than need be, and the mean colour of what the network saw of it."""
        height, width = pixels.shape[:2]
        top, left, bottom, right = (round(each) for each in box or (0, 0, height, width))
        seen = pixels[max(0, top) : max(1, bottom), max(0, left) : max(1, right)]
        return as_jpeg(pixels, self.side), [round(float(each)) for each in seen.reshape(-1, 3).mean(axis=0)]

    def _mask(self, entry: Entry, photo: Photo, size: Sequence[int]) -> dict[str, Any] | None:
        """What the map should show, over the network's input."""
        assert entry.mask is not None
        try:
            mask = read_mask(entry.mask, max_pixels=self.shown.max_pixels or MAX_PIXELS)
            if self.preprocessing is None:
                return None
            shape = photo.pixels.shape[:2]
            return pack_bits(placed(mask, shape, size, self.preprocessing, str(entry.mask), True).numpy() > 0)
        except (MapError, ImageError, OSError):
            return None


def _region(map_: MapEntry, raw: RawMap | str | None) -> dict[str, Any] | None:
    """The region whose class a map explains, over the network's input; a detection has its box instead."""
    if not isinstance(raw, RawMap) or raw.outline is None or map_.box is not None:
        return None
    return pack_bits(raw.outline > 0)


def _common_limits(shown: Shown, limits: Callable[[Path], tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """The scale that takes in those of all maps of a method, which a run with a common scale draws them by."""
    found: dict[str, tuple[float, float]] = {}
    for entry in shown.entries:
        for map_ in entry.maps:
            if map_.drawn and map_.path is not None:
                try:
                    least, most = limits(map_.path)
                except MapError:
                    continue
                low, high = found.get(map_.method, (np.inf, -np.inf))
                found[map_.method] = (min(low, least), max(high, most))
    return found


def short(value: float | None) -> float | None:
    """A number in six digits."""
    return None if value is None or not np.isfinite(value) else float(f"{value:.6g}")


def _told(name: str) -> str:
    """A file's name as text: bytes that are no UTF-8 as escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


def _is_text(path: str) -> bool:
    """Whether a path can be typed as it is."""
    return path.isprintable() and path == _told(path)


def told_all(values: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values without bytes that are no UTF-8."""

    def told(value: Any) -> Any:
        if isinstance(value, str):
            return _told(value)
        if isinstance(value, Mapping):
            return {_told(str(key)): told(each) for key, each in value.items()}
        return [told(each) for each in value] if isinstance(value, (list, tuple)) else value

    return {key: told(value) for key, value in values.items()}
