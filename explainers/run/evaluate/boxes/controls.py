"""The controls of an evaluation of detections: each method's map of another box."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from explainers.core.explainer import Explainer
from explainers.errors import OptionError
from explainers.evaluation.chunk_maps import Stored
from explainers.evaluation.controls import OTHER_BOX
from explainers.evaluation.other_detection import OtherDetection


def with_other_boxes(chosen: Mapping[str, Any], min_score: float) -> dict[str, Any]:
    """Our methods, each with its map of another detection behind it, which is a control; others as they are.

    Raises:
        OptionError: maps from files, which do not say of which detection they are.
    """
    made: dict[str, Any] = {}
    for title, each in chosen.items():
        if isinstance(each, Stored):
            raise OptionError(
                f"{title}: maps from files (--maps) are of images and not of their detections; leave it out"
            )
        made[title] = each
        if isinstance(each, Explainer):
            made[f"{title}, {OTHER_BOX}"] = OtherDetection(each, min_score=min_score)
    return made
