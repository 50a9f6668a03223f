"""From what a detection network returned to detections: torchvision's and transformers' need no adapter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from explainers.errors import OutputError
from explainers.network.output import describe
from explainers.targets.answer import Answer
from explainers.targets.detection.detections import Detections, checked

PARTS = {"boxes", "scores", "labels"}  # of the mapping that torchvision's networks return for each image
WITH_NOTHING = {  # transformers' outputs whose last class is "no object", under a softmax
    "DetrObjectDetectionOutput",
    "DetrSegmentationOutput",
    "YolosObjectDetectionOutput",
    "TableTransformerObjectDetectionOutput",
}
WITHOUT_NOTHING = {  # and those with a sigmoid for each class
    "ConditionalDetrObjectDetectionOutput",
    "ConditionalDetrSegmentationOutput",
    "DeformableDetrObjectDetectionOutput",
    "DetaObjectDetectionOutput",
    "RTDetrObjectDetectionOutput",
    "RTDetrV2ObjectDetectionOutput",
    "DFineObjectDetectionOutput",
    "DabDetrObjectDetectionOutput",
}
HINT = (
    "a target that is a box needs detections; pass output= (--output FILE.py:function) with a function from what "
    "the network returned to a list of explainers.targets.Detections, one for each image"
)


@dataclass(frozen=True)
class QueryBoxes:
    """Says how the class scores of a network of the DETR family are read; pass it as `output=`.

    Args:
        no_object: whether the last class is "no object", under a softmax (DETR, YOLOS); else each class has a sigmoid
            (Deformable DETR, RT-DETR).
    """

    no_object: bool

    def __call__(self, returned: Any) -> QueryAnswer:
        """What was returned, for `detections_of`, which knows the size of the images."""
        return QueryAnswer(returned, self.no_object)


@dataclass(frozen=True, eq=False)
class QueryAnswer:
    """What a network of the DETR family returned, and how it is read."""

    returned: Any
    no_object: bool


def detections_of(answer: Answer) -> list[Detections]:
    """The detections of each image of an answer, with their graph.

    A list of mappings with `boxes`, `scores` and `labels` (torchvision) is taken as it is. Of the DETR family, whose
    boxes are relative, (N, Q, 4) as centre and size: where the last class is "no object", objectness is 1 less its
    probability, and class probabilities are the others, made to sum to 1; the score is the best class's share of the
    softmax. Otherwise probabilities are sigmoids, and their largest is the score.

    Raises:
        OutputError: there are none, not one for each image, or they are malformed.
    """
    found = answer.returned if answer.output is None else answer.output(answer.returned)
    source = "the network" if answer.output is None else "output="
    if isinstance(found, (list, tuple)) and all(isinstance(each, Detections) for each in found):
        made = list(found)
    elif isinstance(found, (list, tuple)) and all(isinstance(each, Mapping) and each.keys() >= PARTS for each in found):
        made = [Detections(each["boxes"], each["scores"], each["labels"]) for each in found]
    elif isinstance(found, (list, tuple)) and found and all(isinstance(e, Mapping) and "boxes" in e for e in found):
        missing = " and ".join(sorted(set[str]().union(*(PARTS - each.keys() for each in found))))
        raise OutputError(
            f"{source} gives boxes without {missing}; each image needs boxes (D, 4), scores (D,) and labels (D,)"
        )
    else:
        made = _of_queries(found, answer.size, source)
    if len(made) != answer.count:
        raise OutputError(f"{source} gives detections of {len(made)} images for {answer.count}; one for each is needed")
    return [checked(each, source) for each in made]


def may_be_detections(answer: Answer) -> bool:
    """Whether an answer has boxes for each image, in a form that `detections_of` reads or refuses with the reason."""
    found = answer.returned if answer.output is None else answer.picked
    if isinstance(found, (list, tuple)):
        kinds = [isinstance(each, Detections) or (isinstance(each, Mapping) and "boxes" in each) for each in found]
        return bool(kinds) and all(kinds)
    return isinstance(found, QueryAnswer) or _part(found, "pred_boxes") is not None


def _of_queries(found: Any, size: tuple[int, ...], source: str) -> list[Detections]:
    no_object = found.no_object if isinstance(found, QueryAnswer) else None
    returned = found.returned if isinstance(found, QueryAnswer) else found
    scores = next(
        (_part(returned, name) for name in ("logits", "pred_logits") if _is_rows(_part(returned, name))), None
    )
    boxes = _part(returned, "pred_boxes")
    if scores is None or not _is_rows(boxes) or boxes.shape != (*scores.shape[:2], 4):
        raise OutputError(f"{source} gives {describe(returned)}: {HINT}")
    if no_object is None:
        kind = type(returned).__name__
        if kind not in WITH_NOTHING | WITHOUT_NOTHING:
            raise OutputError(
                f'{source} gives {kind} with logits and pred_boxes, which does not say whether its last class is "no '
                'object"; pass output=explainers.targets.QueryBoxes(no_object=True) (DETR) or '
                "QueryBoxes(no_object=False) (a sigmoid for each class)"
            )
        no_object = kind in WITH_NOTHING
    if len(size) != 2:
        raise OutputError("boxes relative to the image need its size in pixels, which is not known here")
    height, width = size
    scale = torch.tensor([width, height, width, height], dtype=boxes.dtype, device=boxes.device)
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    corners = torch.cat([centre - half, centre + half], dim=-1) * scale
    if no_object:
        shares = scores.softmax(dim=-1)
        present = 1 - shares[..., -1]
        shares = shares[..., :-1]
        # of the classes among themselves, by a softmax of their own: the quotient of two tiny numbers has no digits
        probabilities = scores[..., :-1].softmax(dim=-1)
        best, labels = shares.max(dim=-1)
        parts = zip(corners, best, labels, probabilities, present, strict=True)
        return [Detections(*each) for each in parts]
    probabilities = scores.sigmoid()
    best, labels = probabilities.max(dim=-1)
    return [Detections(*each) for each in zip(corners, best, labels, probabilities, best, strict=True)]


def _part(returned: Any, name: str) -> Any:
    return returned.get(name) if isinstance(returned, Mapping) else getattr(returned, name, None)


def _is_rows(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim == 3 and value.is_floating_point()
