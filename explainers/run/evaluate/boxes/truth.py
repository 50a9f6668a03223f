"""The true box of a detection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from explainers.data.box_table import Corners, TrueBox, read_boxes
from explainers.data.images import ImageFile
from explainers.errors import DataError
from explainers.storage.paths import shown
from explainers.targets.detection import box_iou

DETECTED = "detected"  # each detection's own box stands for the true one
MATCHES = 0.5  # IoU from which a true box is that of a detection, as in Pascal VOC


@dataclass(frozen=True)
class Truth:
    """True boxes of photos by their names."""

    boxes: Mapping[str, Sequence[TrueBox]]

    def of(self, name: str, corners: Corners, called: Sequence[str]) -> Corners | None:
        """The true box that overlaps a detection most, by an IoU of `MATCHES` or more; None where there is none.

        Args:
            corners: of the detection, in pixels of the photo; called: how its class is called; a box of another class
                is not its.
        """
        fit = [each.corners for each in self.boxes[name] if not each.classes or each.classes & set(called)]
        if not fit:
            return None
        overlaps: Tensor = box_iou(corners, torch.tensor(fit, dtype=torch.float64, device="cpu"))
        best = int(overlaps.argmax())
        return fit[best] if float(overlaps[best]) >= MATCHES else None


def truth_of(given: str | Path, files: Sequence[ImageFile], class_names: Sequence[str] | None = None) -> Truth | None:
    """The true boxes of a table; None where each detection's own box is meant.

    Raises:
        DataError: the table is none, says nothing of any of the photos, or names none of the network's classes
            (class_names, where they are known) for them. A photo that it does not name has no box.
    """
    if str(given) == DETECTED:
        return None
    table, names = read_boxes(Path(given)), [file.name for file in files]
    if not any(name in table for name in names):
        raise DataError(
            f"{shown(given)} names none of the images, such as {shown(names[0])}; it has {shown(next(iter(table)))}. "
            "Names are paths from the folder of images"
        )
    known = _words(class_names or ())
    called = [each.classes for name in names for each in table.get(name, [])]
    if class_names and called and all(each and not each & known for each in called):
        first, some = sorted(called[0]), ", ".join(map(shown, class_names[:3]))
        raise DataError(
            f"{shown(given)} names no class that the network has, such as {some}{', …' * (len(class_names) > 3)} or an "
            f"index to {len(class_names) - 1}; it has {', '.join(map(shown, first))}"
        )
    return Truth({name: table.get(name, []) for name in names})


def _words(class_names: Sequence[str]) -> set[str]:
    """How classes may be called: by name or index."""
    return {*class_names, *map(str, range(len(class_names)))}
