"""What a network is made for, as far as what it returns tells, and which targets it allows."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from explainers.errors import OutputError
from explainers.network.output import Output, describe
from explainers.targets.answer import Answer

OWN = ("any number of what it returns for an image", "--target FILE.py:function")
CLASSES = (
    ("the predicted class", ""),
    ("a class", "--target CLASS"),
    ("why one class rather than another", '--target "CLASS - CLASS"'),
    ("why the predicted class rather than the next", '--target "predicted - next"'),
)
LIKE = ("what makes the image like another, if these are embeddings", "--target like:REFERENCE.jpg")
REGIONS = (
    ("the class predicted most, where it is predicted", "--where predicted"),
    ("a class, where it is predicted", "--target CLASS --where predicted"),
    ("a class in a box, at a pixel, everywhere", "--target CLASS --where box:X0,Y0,X1,Y1 | pixel:X,Y | all"),
    ("a class in a mask of each image", "--target CLASS --where mask:FOLDER"),
)


@dataclass(frozen=True)
class Task:
    """What a network does.

    name: in words, with what cannot be told; targets: (what can be explained, the options of `explain run` for it).
    """

    name: str
    targets: tuple[tuple[str, str], ...] = ()
    dense: bool = False


def task_of(returned: Any, count: int, output: Output | None = None) -> Task:
    """What a network does that returned this for `count` images."""
    if _detects(returned):
        return Task(f"detection: {describe(returned)}"[:200], (OWN,))
    answer = Answer(returned, count, output)
    try:
        scores = answer.dense_scores
    except OutputError:
        pass
    else:
        if scores.ndim == 4 and scores.shape[2:].numel() > 1:
            classes, (h, w) = scores.shape[1], scores.shape[2:]
            named = "one class" if classes == 1 else f"{classes} classes"
            return Task(f"segmentation: {named} at {h} × {w} positions", (*REGIONS, OWN), dense=True)
    return _of_scores(answer)


def _of_scores(answer: Answer) -> Task:
    try:
        classes = answer.scores.shape[1]
    except OutputError:
        try:
            value = answer.picked
        except OutputError:  # several tensors could be the scores
            value = None
        if isinstance(value, Tensor) and value.ndim == 1 and len(value) == answer.count:
            return Task("one value for each image", (("the value", "--target value:0"), _lowered(0), OWN))
        return Task("not known: no scores (N, classes) or (N, classes, h, w)", (OWN,))
    if classes == 1:
        return Task(
            "one score: the logit of a class against the rest, or a value, which cannot be told apart",
            (
                ("the class", ""),
                ("the other class", "--target not"),
                ("the value, if it is one", "--target value:0"),
                _lowered(0),
                OWN,
            ),
        )
    return Task(
        f"classification with {classes} classes; or {classes} values of a regression, or an embedding, which cannot be "
        "told apart from it",
        (*CLASSES, ("a value, if these are values", "--target value:0"), LIKE, OWN),
    )


def several_inputs(network: Any) -> str:
    """What is said of a network that needs more than images; empty where it does not."""
    if not isinstance(network, nn.Module):
        return ""
    try:
        parameters = list(inspect.signature(network.forward).parameters.values())
    except (TypeError, ValueError):
        return ""
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [each.name for each in parameters if each.kind in plain and each.default is inspect.Parameter.empty]
    return f"several inputs: forward needs {', '.join(needed)}" if len(needed) > 1 else ""


def _lowered(index: int) -> tuple[str, str]:
    return "what lowers the value", f"--target value:{index}:lowered"


def _detects(returned: Any) -> bool:
    """Boxes for each image: a list of mappings with `boxes`, or scores of queries with `pred_boxes`."""
    if isinstance(returned, (list, tuple)):
        return bool(returned) and all(isinstance(item, Mapping) and "boxes" in item for item in returned)
    return isinstance(returned, Mapping) and "pred_boxes" in returned
