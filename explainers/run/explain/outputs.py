"""The files of one image: overlays and raw maps, and the rows that tell of them."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from explainers.core.maps import CONSTANT, constant_reason, is_constant
from explainers.core.rounding.saturation import at_end
from explainers.data.images import ImageFile, Photo, write_image
from explainers.models import LoadedModel
from explainers.render import with_boxes
from explainers.run.explain.options import MethodCall, RunOptions
from explainers.run.figure_files import any_format
from explainers.run.kinds import Content, kind_of
from explainers.run.targets import Part, Told
from explainers.run.targets.detected import box_caption
from explainers.run.targets.placed import box_in_photo
from explainers.run.true_classes import true_name
from explainers.storage.atomic import write_bytes
from explainers.storage.journal import Row
from explainers.storage.run_folder import JOURNAL, MANIFEST, REPORT, Contents

COMPARED = "compare"  # the folder of sheets of one image
SHEETS = "sheet-[0-9][0-9][0-9]*"
CONTENTS = Contents(
    "run",
    files=(JOURNAL, "results.csv", MANIFEST, *any_format(SHEETS)),
    folders=("overlays", "maps", COMPARED, REPORT),
)


NO_ERROR = "no standard error: that takes two blocks of masks to compare"
FAILED = "failed"
NOT_FINITE = (
    "the map has NaN or infinite values: a number in the network's passes is too large or none; look for that in its "
    "weights and in how photos are scaled, or use float32 instead of half precision"
)
DONE = ("ok", CONSTANT)  # the image has its files, and another run would make the same
NOTHING = "nothing"  # the status of an image in which there is nothing to explain; another run would find the same


@dataclass(frozen=True)
class Finding:
    """One method's maps of one image: values (K, H, W) or (K, C, H, W) for its K targets.

    standard_error: of the values, in their shape, or None; details: what the method tells of this image; activation:
    what the method reads scores by, None where it reads them as they are.
    """

    title: str
    layers: tuple[str, ...]
    values: np.ndarray
    seconds: float
    standard_error: np.ndarray | None = None
    details: dict[str, Any] = field(default_factory=dict)
    activation: Any = None


class Outputs:
    """Writes what was found on an image, and says so in rows."""

    def __init__(
        self,
        out: Path,
        bases: Mapping[str, str],
        calls: Sequence[MethodCall],
        loaded: LoadedModel,
        options: RunOptions,
        labels: Mapping[str, int] | None = None,
    ) -> None:
        self.out, self.bases, self.loaded, self.options, self.labels = out, bases, loaded, options, labels
        self.file_names = {call.title: call.file_name for call in calls}
        assert loaded.preprocessing is not None
        self.kind = kind_of(loaded.preprocessing)

    def write(self, file: ImageFile, subject: Any, told: Told, findings: Sequence[Finding]) -> list[Row]:
        """All files of an image; returns its rows, one per method and target."""
        rows: list[Row] = []
        if told.nothing:
            return [self._nothing(file, subject, told)]
        boxes = self._write_boxes(file, subject, told)
        for finding in findings:
            for rank, (part, values) in enumerate(zip(told.parts, finding.values, strict=False)):
                base = self._base(file, finding, part if len(told.parts) > 1 else None)
                row = self._row(file, subject, finding, part, told)
                if not np.isfinite(values).all():
                    row |= {"status": FAILED, "reason": NOT_FINITE} | self._placed(part, subject, values)
                    rows.append(row)
                    continue
                if is_constant(torch.from_numpy(values)):
                    end = at_end(finding, part.value, part.quantity, told.activation)
                    why = constant_reason(torch.from_numpy(values), finding.layers, at_end=end)
                    row["status"], row["reason"] = CONSTANT, "; ".join(filter(None, (why, row["reason"])))
                error = None if finding.standard_error is None else finding.standard_error[rank]
                if error is not None and np.isnan(error).all():
                    row["reason"] = "; ".join(filter(None, (row["reason"], NO_ERROR)))
                elif error is not None:
                    row["standard_error"] = float(f"{error.mean():.4g}")
                if self.options.maps:
                    row["map"] = f"maps/{base}.npz"
                    self._write_map(self.out / row["map"], values, error, subject, finding, part)
                    row["others"] = self._write(f"maps/{base}", self.kind.maps(subject, values))
                if self.options.overlays:
                    row["overlay"] = f"overlays/{base}.png"
                    scale = self.kind.scale(values, self.options.style())
                    row["scale"] = None if scale is None else asdict(scale)
                    if self.options.scale == "image":
                        style = self.options.style()
                        drawn = self.kind.drawn(subject, values, style, part.outline)
                        made = self._write(f"overlays/{base}", drawn)
                        row["others"] = [*row.get("others", ()), *made[1:]]
                row |= boxes | self._placed(part, subject, values)
                row["source"] = os.path.realpath(file.path)
                row["base"] = self.bases[file.name]
                rows.append(row)
        return rows

    def _nothing(self, file: ImageFile, subject: Any, told: Told) -> Row:
        """The row of an image in which there is nothing to explain."""
        return {
            "file": file.name,
            **told.columns,
            **self._true(file),
            "status": NOTHING,
            "reason": "; ".join((*subject.notes, told.nothing)),
            "source": os.path.realpath(file.path),
            "base": self.bases[file.name],
        }

    def _write_boxes(self, file: ImageFile, photo: Photo, told: Told) -> Row:
        """The photo with all boxes that were found in it, where they are what is explained."""
        if not self.options.overlays or not any(part.box for part in told.parts):
            return {}
        drawn = [
            (self._in_photo(part, photo, part.outline.shape), box_caption(part.name, part.columns))
            for part in told.parts
            if part.outline is not None
        ]
        name = f"overlays/{self.bases[file.name]}.detections.png"
        write_image(self.out / name, with_boxes(photo.pixels, drawn))
        return {"boxes": name}

    def _placed(self, part: Part, photo: Photo, values: np.ndarray) -> Row:
        """The corners of a detection's box, in pixels of the photo."""
        if part.box is None:
            return {}
        corners = self._in_photo(part, photo, values.shape[-2:])
        return {name: round(value, 1) for name, value in zip(("x0", "y0", "x1", "y1"), corners, strict=True)}

    def _in_photo(self, part: Part, photo: Photo, size: Sequence[int]) -> tuple[float, float, float, float]:
        """A box from the network's input, of (h, w), to the photo."""
        assert part.box is not None
        known = self.loaded.preprocessing
        assert known is not None
        return box_in_photo(part.box, size, photo.pixels.shape[:2], known)

    def _base(self, file: ImageFile, finding: Finding, part: Part | None) -> str:
        suffix = "" if part is None else f".{part.file}"
        return f"{self.bases[file.name]}.{self.file_names[finding.title]}{suffix}"

    def _row(self, file: ImageFile, subject: Any, finding: Finding, part: Part, told: Told) -> Row:
        return {
            "file": file.name,
            **told.columns,
            **self._true(file),
            "target": part.target,
            "target_name": part.name,
            "target_probability": part.value,
            "quantity": part.quantity,
            "activation": told.activation,
            **part.columns,
            "method": finding.title,
            "layer": " ".join(finding.layers),
            "seconds": round(finding.seconds, 5),
            **{key: round(value, 1) if isinstance(value, float) else value for key, value in finding.details.items()},
            "status": "ok",
            "reason": "; ".join(filter(None, (*subject.notes, told.reason))),
            "overlay": "",
            "map": "",
        }

    def _true(self, file: ImageFile) -> Row:
        if self.labels is None:
            return {}
        label = self.labels[file.name]
        return {"true": label, "true_name": true_name(label, self.loaded.class_names)}

    def _write(self, base: str, contents: Mapping[str, Content]) -> list[str]:
        """Files by their suffixes; returns their names within the folder."""
        return [written(self.out, f"{base}{suffix}", content) for suffix, content in contents.items()]

    def _write_map(
        self, path: Path, values: np.ndarray, error: np.ndarray | None, subject: Any, finding: Finding, part: Part
    ) -> None:
        """The raw map, where it lies in the subject, and what it is of."""
        arrays = {
            "map": values.astype(np.float32),
            **self.kind.places(subject),
            "target": np.array(part.target),
            "method": np.array(finding.title),
            "layer": np.array(" ".join(finding.layers)),
        }
        if error is not None:
            arrays["standard_error"] = error.astype(np.float32)
        if part.outline is not None:
            arrays["outline"] = part.outline.numpy()
        buffer = io.BytesIO()
        # The format of np.savez_compressed, at the level that is several times faster and hardly larger.
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w") as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
        write_bytes(path, buffer.getvalue())


def written(out: Path, name: str, content: Content) -> str:
    """Write a picture or a file, all or nothing; returns its name within the folder."""
    if isinstance(content, bytes):
        write_bytes(out / name, content)
    else:
        write_image(out / name, content)
    return name


def is_whole(rows: Sequence[Row]) -> bool:
    """Whether an image's rows still count as done: what has failed is tried again."""
    return bool(rows) and all(row["status"] in (*DONE, NOTHING) for row in rows)


def files_of(rows: Sequence[Row], options: RunOptions) -> list[str]:
    """The files written with an image's rows; overlays on a common scale are drawn when all maps are there."""
    kinds = ("map", "boxes") if options.scale == "common" else ("map", "overlay", "boxes")
    named = [row[kind] for row in rows for kind in kinds if row.get(kind)]
    return list(dict.fromkeys([*named, *(name for row in rows for name in row.get("others", ()))]))
