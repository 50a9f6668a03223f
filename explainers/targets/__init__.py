"""What is explained: one number of what a network returned, as an object.

An int stays the shorthand for a class. `target.py` has the contract, `answer.py` what a target reads, and each other
file one target; `detection/` is of boxes. `settle.py` goes from what a user passes as `targets=` to targets that stand
for one image each, and `target_scores.py` makes an `output=` of them, so that every method and metric takes them. May
import network/ and passes/. Begin with `target.py`.
"""

from explainers.targets.answer import Answer
from explainers.targets.class_targets import ClassScore, Difference
from explainers.targets.detection import Box, Detections, QueryBoxes, box_masks, detections
from explainers.targets.function import Function
from explainers.targets.region import Region
from explainers.targets.settle import Settled, answers_for, as_objects, holds_targets, settle
from explainers.targets.similarity import Similarity
from explainers.targets.target import Target
from explainers.targets.value import Value

__all__ = [
    "Answer",
    "Box",
    "ClassScore",
    "Detections",
    "Difference",
    "Function",
    "QueryBoxes",
    "Region",
    "Settled",
    "Similarity",
    "Target",
    "Value",
    "answers_for",
    "as_objects",
    "box_masks",
    "detections",
    "holds_targets",
    "settle",
]
