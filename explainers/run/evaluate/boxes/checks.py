"""What detections are asked with, seen before anything is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from explainers.data.images import ImageFile
from explainers.errors import OptionError
from explainers.evaluation.metric import Metric
from explainers.run.evaluate.boxes.truth import DETECTED
from explainers.run.targets import Detected


def check_boxes(
    targets: Any,
    files: Sequence[ImageFile] | None,
    masks: Any,
    boxes: Any,
    metrics: Mapping[str, Metric],
) -> None:
    """See that an evaluation of detections has image files and, where metrics need them, true boxes, and that no other
    one has boxes.

    Raises:
        OptionError: it is not so.
    """
    if not isinstance(targets, Detected):
        if boxes is not None:
            raise OptionError(
                "boxes= (--boxes) says where detections should be: it goes with targets=Detected(…) (--task detection)"
            )
        return
    if files is None:
        raise OptionError(
            "Detected is of image files; of tensors pass a Box for each image, see explainers.targets.detections"
        )
    if masks is not None:
        raise OptionError(
            "masks= (--masks): a mask of an image does not say which of its detections it is of; pass boxes= (--boxes)"
        )
    needy = [title for title, metric in metrics.items() if "masks" in metric.needs]
    if needy and boxes is None:
        raise OptionError(
            f"{', '.join(needy)}: where should the maps be? Pass boxes= (--boxes): a table of true boxes (CSV with the "
            f"columns file,x0,y0,x1,y1 and perhaps class, or COCO's annotations), or {DETECTED!r}, each detection's own"
        )
