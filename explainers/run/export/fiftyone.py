"""A finished run or evaluation as a data set on disk of FiftyOne: photos with their maps as heat maps, and scores."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from explainers.core.maps import CONSTANT
from explainers.data.images import MAX_PIXELS
from explainers.data.images.companions import read_mask
from explainers.errors import DataError, ImageError, MapError
from explainers.run.export.exported import Exported, check_new, finished, new_folder, origin, plain
from explainers.run.export.fiftyone_fields import Fields, Label, described
from explainers.run.regions import laid, spread
from explainers.run.report.entry import Entry, MapEntry, Shown
from explainers.run.report.evaluated import evaluated
from explainers.run.report.explained import explained
from explainers.run.report.maps import RawMap, read_map
from explainers.storage.paths import shown as path_shown

KIND = "fiftyone"
VERSION = "1.0.0"  # of the format; FiftyOne brings what it reads up to its own
GONE = "the image file is no longer where it was"
NO_TEXT = "the name of the image file is no text, which FiftyOne needs"
LEVELS = 255


def write_fiftyone(
    folder: str | PathLike[str], out: str | PathLike[str] | None = None, *, overwrite: bool = False
) -> Exported:
    """Write a finished `explain run` or `evaluate` over photos as `fiftyone.types.FiftyOneDataset`, sample by sample.

    A sample is a photo, which stays where it is: `ground_truth` and `prediction` (Classification), `right`,
    `detections` (Detections), `mask` (Segmentation), and for each method a Heatmap called after it, such as `grad_cam`;
    of several maps of a photo by one method the second is `grad_cam_2`. Numbers are fields of their own:
    `grad_cam_deletion`.

    A heat map is a gray picture of the photo's size: its levels 0 … 255 stand for values from `low` to `high`, the
    minimum and maximum of the map at that size, or of a map with signs −m and m, m its largest magnitude. What the
    network did not see is 0.

    Args:
        folder: of the run; out: the data set's folder (default `fiftyone` in the folder); overwrite: whether one that
            an export made is replaced.

    Raises:
        DataError: the folder holds no run that has come to its end, or one of volumes, signals or clips. OptionError:
            there is something already. WriteError: it cannot be written.
    """
    read = finished(folder, ("run", "evaluate"), "a data set of FiftyOne")
    if read.kind is not None:
        raise DataError(f"{path_shown(folder)} is of a {read.kind.name}; FiftyOne shows heat maps of photos")
    target = read.path / "fiftyone" if out is None else Path(out)
    check_new(target, KIND, overwrite=overwrite)
    shown = (explained if read.command == "run" else evaluated)(read)
    with new_folder(target, KIND, overwrite=overwrite) as temporary:
        made = _DataSet(temporary, shown)
        for image, entries in _photos(shown.entries):
            made.add(image, entries)
        facts = {**origin(read), "model": (read.manifest.get("model") or {}).get("spec")}
        head = {"name": plain(read.path.resolve().name), "version": VERSION, "media_type": "image", "info": facts}
        fields = {"sample_fields": made.fields.described(), "mask_targets": {"mask": {str(LEVELS): "mask"}}}
        _write(temporary / "metadata.json", {**head, **fields})
        _write(temporary / "samples.json", {"samples": made.samples})
    counts = {"photo": len(made.samples), "heat map": made.maps}
    return Exported(target, counts, tuple(made.left_out), tuple(made.constant), "photo or map")


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, allow_nan=False), encoding="utf-8")


def _photos(entries: Sequence[Entry]) -> Iterator[tuple[str, list[Entry]]]:
    """The entries of each photo with its name: in an evaluation each detection has one."""
    found: dict[Path | str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.source or entry.name, []).append(entry)
    for group in found.values():
        yield group[0].name, group


@dataclass
class _DataSet:
    """A data set as it grows."""

    folder: Path
    shown: Shown
    fields: Fields = field(default_factory=Fields)
    samples: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    constant: list[str] = field(default_factory=list)
    maps: int = 0

    def add(self, image: str, entries: Sequence[Entry]) -> None:
        """A photo with all that is known of it."""
        first = entries[0]
        if first.problem or first.source is None or not first.source.is_file():
            self.left_out.append((image, first.problem or GONE))
            return
        path = str(first.source.resolve())
        if plain(path) != path:
            self.left_out.append((image, NO_TEXT))
            return
        sample: dict[str, Any] = {
            "_id": {"$oid": identity(path)},
            "_media_type": "image",
            "_rand": int(identity(path), 16) / 2**96,
            "filepath": path,
            "tags": [],
        }
        self._said(sample, first)
        detections: dict[str, dict[str, Any]] = {}
        counts: dict[str, int] = {}
        for entry in entries:
            for map_ in entry.maps:
                counts[map_.method] = number = counts.get(map_.method, 0) + 1
                size = self._map(sample, image, map_, number)
                if map_.box is not None and size is not None:
                    detections.setdefault(str(map_.box), _detection(map_, size, path))
        if detections:
            self._put(sample, "detections", described("Detections", detections=list(detections.values())))
        if first.mask is not None:
            self._mask(sample, first.mask)
        self.samples.append(sample)

    def _said(self, sample: dict[str, Any], entry: Entry) -> None:
        """What the network says of a photo, and what it is."""
        for name, label, sure in (
            ("ground_truth", entry.true, None),
            ("prediction", entry.predicted, entry.probability),
        ):
            if label:
                self._put(sample, name, described("Classification", label=plain(label), confidence=sure))
        if entry.right is not None:
            self._put(sample, "right", entry.right)

    def _map(self, sample: dict[str, Any], image: str, map_: MapEntry, number: int) -> tuple[int, int] | None:
        """The heat map and the numbers of a map; returns the (height, width) of its photo."""
        name = map_.method if number == 1 else f"{map_.method} {number}"
        for score, value in map_.values.items():
            if score == "score" and map_.box is not None:
                continue  # the confidence of its detection
            self._put(sample, f"{name} {score}", float(value))
        title = f"{image}, {map_.method}"
        if not map_.drawn or map_.path is None:
            if map_.method not in self.shown.controls:  # whose maps are never kept
                self.left_out.append((title, map_.reason or "it has no map"))
            return None
        try:
            found = read_map(map_.path)
        except MapError as error:
            self.left_out.append((title, str(error)))
            return None
        pixels, low, high = levels(found)
        path = self._picture(name, pixels)
        told = {"target": plain(map_.target), "layer": map_.layer, "status": map_.status}
        heat = described("Heatmap", map_path=path, low=low, high=high, watched=map_.watched, **told)
        self._put(sample, name, heat)
        self.maps += 1
        if map_.status == CONSTANT:
            self.constant.append(title)
        return found.size

    def _mask(self, sample: dict[str, Any], path: Path) -> None:
        try:
            inside = read_mask(path, max_pixels=self.shown.max_pixels or MAX_PIXELS)
        except (MapError, ImageError, OSError) as error:
            self.left_out.append((f"mask {path.name}", str(error)))
            return
        picture = self._picture("mask", np.where(inside, LEVELS, 0).astype(np.uint8))
        self._put(sample, "mask", described("Segmentation", mask_path=picture))

    def _picture(self, name: str, pixels: np.ndarray) -> str:
        """Write a picture of a field of the next sample, and say where, as FiftyOne resolves it."""
        inside = Path("fields") / self.fields.name(name) / f"{len(self.samples):06d}.png"
        (self.folder / inside).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(self.folder / inside)
        return inside.as_posix()

    def _put(self, sample: dict[str, Any], name: str, value: bool | float | Label) -> None:
        """A value under the name of its field; labels get what FiftyOne knows them by."""
        key = self.fields.add(name, value)
        if isinstance(value, Label):
            own = {} if value.kind == "Detections" else {"_id": {"$oid": identity(sample["filepath"], key)}, "tags": []}
            sample[key] = {**own, "_cls": value.kind, **value.values}
        else:
            sample[key] = value


def levels(found: RawMap) -> tuple[np.ndarray, float, float]:
    """A map as (H, W) uint8 of its photo, and the values that 0 and 255 stand for."""
    values = spread(found)
    low, high = float(values.min()), float(values.max())
    if low < 0:
        low, high = -max(-low, high), max(-low, high)
    whole = laid(values, found, 0.0).clip(low, high)
    range_ = high - low
    return np.round((whole - low) * (LEVELS / range_ if range_ else 0)).astype(np.uint8), low, high


def _detection(map_: MapEntry, size: tuple[int, int], path: str) -> dict[str, Any]:
    """A box as FiftyOne has it: left, top, width, height, as shares of the photo."""
    assert map_.box is not None
    (x0, y0, x1, y1), (height, width) = map_.box, size
    told = {} if map_.sure is None else {"confidence": map_.sure}
    return {
        "_id": {"$oid": identity(path, str(map_.box))},
        "_cls": "Detection",
        "tags": [],
        "label": plain(map_.target),
        "bounding_box": [x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height],
        **told,
    }


def identity(*of: str) -> str:
    """24 hexadecimal digits that stay the same from export to export."""
    return hashlib.sha256("\0".join(of).encode()).hexdigest()[:24]
