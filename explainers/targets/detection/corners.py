"""Whether boxes are what they should be: corners, in pixels."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from explainers.errors import OutputError
from explainers.targets.detection.detections import Detections

RELATIVE = (-0.5, 1.5)  # where boxes relative to the image lie, with what reaches over its edges
SMALL = 8  # sides in pixels of images whose boxes may lie there, too


def see_corners(found: Detections, size: Sequence[int]) -> None:
    """See that the boxes found in an image (h, w), unperturbed, are corners in pixels of it. Where few of them are
    none, they are passed over, with a warning.

    Raises:
        OutputError: all boxes lie in 0 … 1; or half of them or more have x1 < x0 or y1 < y0.
    """
    if not len(found):
        return
    boxes = found.boxes.detach()
    low, high = RELATIVE
    if len(size) == 2 and min(size) >= SMALL and low <= float(boxes.min()) <= float(boxes.max()) <= high:
        raise OutputError(
            f"all boxes lie in {float(boxes.min()):.2g} … {float(boxes.max()):.2g}, as boxes relative to the image do; "
            f"expected are corners x0, y0, x1, y1 in pixels of the network's input, here {size[1]}x{size[0]}: multiply "
            "by its width and height"
        )
    turned = int((boxes[:, 2:] < boxes[:, :2]).any(dim=1).sum())
    told = f"{turned} of {len(boxes)} boxes have x1 < x0 or y1 < y0"
    if 2 * turned >= len(boxes):
        raise OutputError(
            f"{told}; expected are corners x0, y0, x1, y1 in pixels of the network's input. From centre and size (as "
            "of YOLO and DETR) they are made by cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2"
        )
    if turned:
        warnings.warn(f"{told} and are passed over; are these corners, not centre and size?", stacklevel=2)
