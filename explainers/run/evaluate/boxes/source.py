"""Image files as batches with a row for each detection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch

from explainers.core.image_by_image import Failure, in_parts
from explainers.core.preprocessing import photographic
from explainers.evaluation.controls import is_control
from explainers.evaluation.measuring.batch import Batch
from explainers.evaluation.metric import Metric
from explainers.evaluation.rows import Row
from explainers.models.loaded import target_name
from explainers.network.output import Output
from explainers.run.evaluate.boxes.truth import Truth, truth_of
from explainers.run.evaluate.folder import Folder
from explainers.run.evaluate.options import EvaluationOptions
from explainers.run.targets import Detected
from explainers.run.targets.placed import box_in_input, box_in_photo
from explainers.targets import Box, Detections, detections
from explainers.targets.detection import box_masks

UNMATCHED = "no true box is that of this detection"


def box_folder(
    folder: Folder, network: Any, detected: Detected, options: EvaluationOptions, class_names: Sequence[str] | None
) -> BoxFolder:
    """The detections of a folder's images.

    Raises:
        DataError: the table of true boxes is none. OptionError: the network takes no photos.
    """
    photographic(folder.preprocessing)
    own = {each.name: getattr(folder, each.name) for each in fields(Folder)}
    truth = None if options.boxes is None else truth_of(options.boxes, folder.files)
    return BoxFolder(
        **own, network=network, output=options.output, detected=detected, truth=truth, class_names=class_names
    )


@dataclass
class BoxFolder(Folder):
    """Image files whose detections are scored: rows of a batch are detections, called "FILE, detection K".

    network, output: what finds them; detected: which of them; truth: the true boxes, None: each detection's own;
    class_names: where they are known; targets, columns: of each row by its name, as far as it was reached; nothing:
    images in which there is nothing to explain, and why; broken: images that the network fails on, and why.
    """

    network: Any = None
    output: Output | None = None
    detected: Detected = field(default_factory=Detected)
    truth: Truth | None = None
    class_names: Sequence[str] | None = None
    targets: dict[str, Box] = field(default_factory=dict)
    columns: dict[str, Row] = field(default_factory=dict)
    unmatched: set[str] = field(default_factory=set)
    nothing: list[tuple[str, str]] = field(default_factory=list)
    broken: list[tuple[str, str]] = field(default_factory=list)

    def __iter__(self) -> Iterator[Batch]:
        """Batches of the detections of as many images as a batch of the folder has.

        Raises:
            OptionError, TargetError: as `detections` does of every image.
        """
        for batch in super().__iter__():
            found: dict[int, Detections] = {}
            for rows, each in in_parts(range(len(batch.names)), lambda rows, batch=batch: self._found(batch, rows)):
                if isinstance(each, Failure):
                    self.broken.append((batch.names[rows[0]], each.reason))
                else:
                    found.update(zip(rows, each, strict=True))
            made = [
                self._row(batch, row, chosen, place)
                for row, chosen in sorted(found.items())
                for place in range(len(chosen))
            ]
            if made:
                rows, names, boxes, masks = zip(*made, strict=True)
                device = batch.images.device
                yield replace(batch.select(rows), names=names, targets=list(boxes), masks=torch.stack(masks).to(device))

    def _found(self, batch: Batch, rows: Sequence[int]) -> list[Detections]:
        """The chosen detections of some images; where there are none, that is noted."""
        images = batch.select(rows).images
        chosen = []
        for row, each in zip(rows, detections(self.network, images, output=self.output), strict=True):
            chosen.append(self.detected.chosen(each, images.shape[2:]))
            if not len(chosen[-1]):
                self.nothing.append((batch.names[row], self.detected.nothing(each)))
        return chosen

    def _row(self, batch: Batch, row: int, found: Detections, place: int) -> tuple[int, str, Box, torch.Tensor]:
        """Of one detection: the image's row in the batch, the name of its own, its box, and its mask."""
        file, size = batch.names[row], tuple(batch.images.shape[2:])
        box, label = Box.of(found, place), int(found.labels[place])
        assert box.box is not None
        classes = label + 1 if found.probabilities is None else found.probabilities.shape[1]
        called = target_name(label, self.class_names, classes)
        corners = box_in_photo(box.box, size, self.sizes[file], self.preprocessing)
        name = f"{file}, detection {place + 1}"
        self.targets[name], self.seen[name] = box, self.seen[file]
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
            inside = box_in_input(true, self.sizes[file], self.preprocessing)
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
