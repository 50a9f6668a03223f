"""The regions that the maps of a finished run point out, as COCO annotations: masks in the photos, with boxes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from explainers import __version__
from explainers.data.images import opencv
from explainers.errors import DataError, MapError, OptionError, counted
from explainers.evaluation.metrics.localisation.regions import CHOICES, binarised
from explainers.run.report.folder import ReadFolder
from explainers.run.report.maps import RawMap, read_map
from explainers.storage.atomic import write_bytes
from explainers.storage.journal import Row
from explainers.storage.paths import shown
from explainers.storage.run_folder import SCHEMA_VERSION

THRESHOLDS = tuple(choice for choice in CHOICES if choice != "validation")  # which needs masks


@dataclass(frozen=True)
class Regions:
    """What was written. path: the file; images, regions: how many; empty: maps without one, each with the reason."""

    path: Path
    images: int
    regions: int
    empty: tuple[tuple[str, str], ...] = ()


def write_regions(
    folder: str | PathLike[str],
    out: str | PathLike[str] | None = None,
    *,
    threshold: str | float = "otsu",
    largest: bool = False,
    methods: Sequence[str] = (),
) -> Regions:
    """Cut the maps of an `explain run` at a threshold and write the regions above it as a COCO file.

    A map is enlarged to its place in the photo first, as its overlay is; what the network did not see is in no region.

    Args:
        folder: of the run; out: the JSON file (default `regions.json` in the folder).
        threshold: "otsu", "mean", "mean+std" of each map, or a number from 0 to 1 of its range.
        largest: keep the largest connected part (pixels that touch, also at corners) of each region alone.
        methods: titles of methods whose maps are taken; all of them by default.

    Raises:
        DataError: the folder holds no run, or one without maps. OptionError: no such threshold or method.
        WriteError: the file cannot be written.
    """
    check_threshold(threshold)
    read = ReadFolder(Path(folder), ("run",), "regions")
    rows = [row for _, unit in read.units() for row in unit if row.get("map")]
    if not rows:
        raise DataError(f"{shown(folder)} holds no maps (was it made with --no-maps?)")
    present = list(dict.fromkeys(str(row["method"]) for row in rows))
    unknown = [title for title in methods if title not in present]
    if unknown:
        raise OptionError(f"the run has no method {unknown[0]!r}; it has {', '.join(present)}")
    document = _Document(threshold, largest)
    for row in rows:
        if not methods or row["method"] in methods:
            document.add(read, row)
    path = Path(folder) / "regions.json" if out is None else Path(out)
    write_bytes(path, json.dumps(document.content(), ensure_ascii=True, allow_nan=False).encode())
    return Regions(path, len(document.images), len(document.annotations), tuple(document.empty))


def check_threshold(threshold: Any) -> None:
    """See that it is one.

    Raises:
        OptionError: it is none.
    """
    number = isinstance(threshold, (int, float)) and not isinstance(threshold, bool) and 0 <= threshold <= 1
    if not number and threshold not in THRESHOLDS:
        raise OptionError(f"threshold={threshold!r}; expected {', '.join(THRESHOLDS)}, or a number from 0 to 1")


class _Document:
    """A COCO file as it grows."""

    def __init__(self, threshold: str | float, largest: bool) -> None:
        self.threshold, self.largest = threshold, largest
        self.images: dict[str, dict[str, Any]] = {}
        self.categories: dict[str, int] = {}
        self.annotations: list[dict[str, Any]] = []
        self.empty: list[tuple[str, str]] = []

    def add(self, folder: ReadFolder, row: Row) -> None:
        """The region of a row's map."""
        name, title = str(row["file"]), f"{row['file']}, {row['method']}"
        path = folder.inside(str(row["map"]))
        try:
            found = None if path is None else read_map(path)
        except MapError as error:
            self.empty.append((title, str(error)))
            return
        if found is None:
            return
        height, width = found.size
        self.images.setdefault(name, {"id": len(self.images) + 1, "file_name": name, "height": height, "width": width})
        region = region_of(found, self.threshold, largest=self.largest)
        if not region.any():
            self.empty.append((title, "the map points out nothing above the threshold in the photo"))
            return
        target = str(row.get("target_name", "")) or str(row.get("target", ""))
        category = self.categories.setdefault(target, len(self.categories) + 1)
        self.annotations.append(
            {
                "id": len(self.annotations) + 1,
                "image_id": self.images[name]["id"],
                "category_id": category,
                "segmentation": {"size": [height, width], "counts": run_lengths(region)},
                "area": int(region.sum()),
                "bbox": box_of(region),
                "iscrowd": 0,
                "method": str(row["method"]),
                "target": target,
                **({"score": row["target_probability"]} if isinstance(row.get("target_probability"), float) else {}),
            }
        )

    def content(self) -> dict[str, Any]:
        """The whole file."""
        return {
            "info": {
                "schema_version": SCHEMA_VERSION,
                "description": "regions that heat maps point out",
                "version": __version__,
                "threshold": self.threshold,
                "largest": self.largest,
            },
            "images": list(self.images.values()),
            "categories": [{"id": number, "name": name} for name, number in self.categories.items()],
            "annotations": self.annotations,
        }


def region_of(map_: RawMap, threshold: str | float, *, largest: bool = False) -> np.ndarray:
    """(H, W) bool in the photo: where a map is above a threshold."""
    seen = binarised(torch.from_numpy(spread(map_))[None], threshold)[0].numpy()
    region = laid(seen, map_, False)
    return largest_part(region) if largest else region


def spread(map_: RawMap) -> np.ndarray:
    """(h, w) float32: a map as large as its place in the photo."""
    top, left, bottom, right = (round(edge) for edge in map_.box)
    size = (max(1, bottom - top), max(1, right - left))
    values = torch.from_numpy(np.ascontiguousarray(map_.full, np.float32))[None, None]
    if values.shape[2:] != size:
        values = F.interpolate(values, size=size, mode="bilinear", align_corners=False)
    found: np.ndarray = values[0, 0].numpy()
    return found


def laid(values: np.ndarray, map_: RawMap, beyond: Any) -> np.ndarray:
    """(H, W) of the photo: what is of a map as large as `spread` makes it in its place, and what lies beyond."""
    height, width = map_.size
    top, left, bottom, right = (round(edge) for edge in map_.box)
    whole = np.full((height, width), beyond, values.dtype)
    rows, columns = slice(max(0, top), min(height, bottom)), slice(max(0, left), min(width, right))
    whole[rows, columns] = values[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    return whole


def largest_part(region: np.ndarray) -> np.ndarray:
    """The connected part (8 neighbours) with the most pixels; of equally large ones the first from the top."""
    count, labels, statistics, _ = opencv().connectedComponentsWithStats(region.astype(np.uint8), connectivity=8)
    if count < 2:
        return region
    part: np.ndarray = labels == 1 + int(np.argmax(statistics[1:, 4]))
    return part


def run_lengths(region: np.ndarray) -> list[int]:
    """COCO's run lengths: down the columns, how many pixels are off, then on, then off …"""
    flat = np.concatenate([[False], region.flatten(order="F"), [False]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    ends = np.concatenate([[0], edges, [region.size]])
    counts = np.diff(ends).tolist()
    while len(counts) > 1 and counts[-1] == 0:
        counts.pop()
    return [int(each) for each in counts]


def box_of(region: np.ndarray) -> list[int]:
    """[x, y, width, height] around a region."""
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    return [
        int(columns[0]),
        int(rows[0]),
        int(columns[-1] - columns[0] + 1),
        int(rows[-1] - rows[0] + 1),
    ]


def summary(found: Regions) -> str:
    """What was written, for the terminal."""
    return f"{counted(found.regions, 'region')} in {counted(found.images, 'image')}"
