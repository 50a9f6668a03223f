"""Batches of images as batches with a row for each detection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from explainers.core.image_by_image import Failure, in_parts
from explainers.core.preprocessing import Preprocessing
from explainers.evaluation.controls import is_control
from explainers.evaluation.measuring.batch import Batch
from explainers.evaluation.metric import Metric
from explainers.evaluation.rows import UNMATCHED, Row
from explainers.models.loaded import target_name
from explainers.network.output import Output
from explainers.run.evaluate.boxes.truth import Truth
from explainers.run.targets import Detected
from explainers.run.targets.placed import box_in_input, box_in_photo
from explainers.targets import Box, Detections, detections
from explainers.targets.detection import box_masks


@dataclass
class BoxRows:
    """The detections of images as rows of a batch, called "FILE, detection K".

    network, output: what finds them; preprocessing: from photo to its input; detected: which of them; truth: the true
    boxes, None: each detection's own; class_names: where they are known; targets, columns: of each row by its name, as
    far as it was reached; unmatched: rows without a true box; nothing: images in which there is nothing to explain, and
    why; broken: images that the network fails on, and why.
    """

    network: Any
    output: Output | None
    preprocessing: Preprocessing
    detected: Detected
    truth: Truth | None = None
    class_names: Sequence[str] | None = None
    targets: dict[str, Box] = field(default_factory=dict)
    columns: dict[str, Row] = field(default_factory=dict)
    unmatched: set[str] = field(default_factory=set)
    nothing: list[tuple[str, str]] = field(default_factory=list)
    broken: list[tuple[str, str]] = field(default_factory=list)

    def of(self, batch: Batch, sizes: Mapping[str, tuple[int, ...]]) -> Batch | None:
        """The detections of a batch of images; None where there are none.

        Args:
            sizes: (height, width) of each photo by its name.

        Raises:
            OptionError, TargetError: as `detections` does of every image.
        """
        found: dict[int, Detections] = {}
        for rows, each in in_parts(range(len(batch.names)), lambda rows: self._found(batch, rows)):
            if isinstance(each, Failure):
                self.broken.append((batch.names[rows[0]], each.reason))
            else:
                found.update(zip(rows, each, strict=True))
        made = [
            self._row(batch, row, chosen, place, sizes[batch.names[row]])
            for row, chosen in sorted(found.items())
            for place in range(len(chosen))
        ]
        if not made:
            return None
        picked, names, boxes, masks = zip(*made, strict=True)
        stacked = torch.stack(masks).to(batch.images.device)
        return replace(batch.select(picked), names=names, targets=list(boxes), masks=stacked)

    def _found(self, batch: Batch, rows: Sequence[int]) -> list[Detections]:
        """The chosen detections of some images; where there are none, that is noted."""
        images = batch.select(rows).images
        chosen = []
        for row, each in zip(rows, detections(self.network, images, output=self.output), strict=True):
            chosen.append(self.detected.chosen(each, images.shape[2:]))
            if not len(chosen[-1]):
                self.nothing.append((batch.names[row], self.detected.nothing(each)))
        return chosen

    def _row(
        self, batch: Batch, row: int, found: Detections, place: int, photo: tuple[int, ...]
    ) -> tuple[int, str, Box, torch.Tensor]:
        """Of one detection: the image's row in the batch, the name of its own, its box, and its mask."""
        file, size = batch.names[row], tuple(batch.images.shape[2:])
        box, label = Box.of(found, place), int(found.labels[place])
        assert box.box is not None
        classes = label + 1 if found.probabilities is None else found.probabilities.shape[1]
        called = target_name(label, self.class_names, classes)
        corners = box_in_photo(box.box, size, photo, self.preprocessing)
        name = f"{file}, detection {place + 1}"
        self.targets[name] = box
        self.columns[name] = {
            "file": file,
            "detection": place + 1,
            "detection_score": round(float(found.scores[place]), 6),
            "class": label,
            "class_name": called,
            **{key: round(value, 1) for key, value in zip(("x0", "y0", "x1", "y1"), corners, strict=True)},
        }
        mask = None
        if self.truth is not None and (true := self.truth.of(file, corners, (str(label), called))) is not None:
            inside = box_in_input(true, photo, self.preprocessing)
            mask = _mask(inside, size)
        if self.truth is not None and mask is None:
            self.unmatched.add(name)
        if mask is None:
            mask = box_masks([box.box], size)[0]  # type: ignore[arg-type]
        return row, name, box, mask.cpu()

    def tell(self, rows: Sequence[Row], metrics: Mapping[str, Metric]) -> None:
        """Put into rows which detection they are of; what goes by a true box has no value where there is none."""
        for row in rows:
            row.update(self.columns[row["image"]], control=is_control(row["explainer"]))
            metric = metrics.get(str(row["score"]).partition("@")[0])
            if metric is not None and "masks" in metric.needs and row["image"] in self.unmatched:
                row.update(value=None, curve=None, parts=None, reason=UNMATCHED)


def _mask(corners: Sequence[float], size: Sequence[int]) -> torch.Tensor | None:
    """(h, w) bool of a box in the network's input, None where it holds no pixel of it."""
    x = torch.arange(size[1], device="cpu") + 0.5
    y = torch.arange(size[0], device="cpu") + 0.5
    mask = ((y >= corners[1]) & (y < corners[3]))[:, None] & ((x >= corners[0]) & (x < corners[2]))
    return mask if bool(mask.any()) else None
