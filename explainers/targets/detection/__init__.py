"""Boxes that a detection network finds, as targets.

`detections.py` has what an adapter returns, `recognised.py` the networks that need none, `box.py` the target,
`found.py` what a network finds in images, `corners.py` whether boxes are corners in pixels. Begin with `box.py`.
"""

from explainers.targets.detection.box import Box, box_iou
from explainers.targets.detection.corners import see_corners
from explainers.targets.detection.detections import Detections
from explainers.targets.detection.found import check_min_score, detections
from explainers.targets.detection.masks import box_masks
from explainers.targets.detection.recognised import QueryBoxes, detections_of, may_be_detections

__all__ = [
    "Box",
    "Detections",
    "QueryBoxes",
    "box_iou",
    "box_masks",
    "check_min_score",
    "detections",
    "detections_of",
    "may_be_detections",
    "see_corners",
]
