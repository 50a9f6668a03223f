"""The controls of an evaluation of detections: each method's map of another box."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from explainers.core.explainer import Explainer
from explainers.evaluation.chunk_maps import Stored
from explainers.evaluation.controls import OTHER_BOX
from explainers.evaluation.other_detection import OtherDetection
from explainers.run.evaluate.boxes.source import BoxRows
from explainers.run.evaluate.boxes.stored import DetectionMaps, MapFiles


def with_other_boxes(chosen: Mapping[str, Any], boxes: BoxRows) -> dict[str, Any]:
    """Our methods, each with its map of another detection behind it, which is a control; maps from files as those of
    the detections; others as they are."""
    made: dict[str, Any] = {}
    for title, each in chosen.items():
        if isinstance(each, Stored):
            numbered = DetectionMaps(cast("MapFiles", each.maps), boxes)
            made[title] = Stored(numbered, numbered.digest)
            continue
        made[title] = each
        if isinstance(each, Explainer):
            made[f"{title}, {OTHER_BOX}"] = OtherDetection(each, min_score=boxes.detected.min_score)
    return made
