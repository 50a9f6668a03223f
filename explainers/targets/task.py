"""What a network is made for, as far as what it returns tells, and which targets it allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from explainers.errors import OutputError
from explainers.network.inputs import needed
from explainers.network.output import Output
from explainers.targets.answer import Answer, has_positions
from explainers.targets.detection import Detections, detections_of, may_be_detections

OWN = ("any number of what it returns for an image", "--target FILE.py:function")
CLASSES = (  # {0} is the class predicted most, {1} the next
    ("the predicted class", ""),
    ("a class", "--target {0}"),
    ("why one class rather than another", '--target "{0} - {1}"'),
    ("why the predicted class rather than the next", '--target "predicted - next"'),
)
LIKE = ("what makes the image like another, if these are embeddings", "--target like:FILE")
REGIONS = (
    ("the class predicted most, where it is predicted", "--where predicted"),
    ("a class, where it is predicted", "--target {0} --where predicted"),
    ("a class everywhere", "--target {0} --where all"),
)
PLACES = {  # of inputs of so many axes
    1: (
        ("a class in a stretch", "--target {0} --where box:FROM:TO"),
        ("a class at a sample", "--target {0} --where sample:T"),
    ),
    2: (
        ("a class in a box", "--target {0} --where box:X0,Y0,X1,Y1"),
        ("a class at a pixel", "--target {0} --where pixel:X,Y"),
    ),
    3: (
        ("a class in a box, a range of each axis", "--target {0} --where box:A0:A1,B0:B1,C0:C1"),
        ("a class at a voxel", "--target {0} --where voxel:A,B,C"),
    ),
}
MASKS = {1: "signal", 2: "image", 3: "volume"}
DOUBTS = {  # what returns the same shape
    1: "; or features, or steps before classes, whose adapter is --output FILE.py:function",
    2: "; or boxes that are not decoded, whose adapter is --output FILE.py:function (docs/detection.md)",
}
BOXES = (
    ("the three boxes of the highest scores, from 0.5 on{none}", "--task detection"),
    ("more of them, with lower scores too", "--task detection --detections 10 --min-score {least}"),
)
LEAST = 0.1  # of scores, where some are higher
USUAL = 0.5  # of detections that are explained where nothing else is typed


@dataclass(frozen=True)
class Task:
    """What a network does.

    name: in words, with what cannot be told; targets: (what can be explained, the options of `explain run` for it);
    dense: whether it has scores at positions; found: of a detection network what it finds in each image.
    """

    name: str
    targets: tuple[tuple[str, str], ...] = ()
    dense: bool = False
    found: tuple[Detections, ...] | None = None


def task_of(returned: Any, count: int, output: Output | None = None, size: tuple[int, ...] = ()) -> Task:
    """What a network does that returned this for `count` images of `size`."""
    answer = Answer(returned, count, output, size)
    if may_be_detections(answer):
        return _detection(answer)
    try:
        scores = answer.dense_scores
    except OutputError as error:
        if answer.misplaced:
            return Task(f"not known: {error}", (OWN,))
    else:
        if has_positions(scores, size) and scores.shape[2:].numel() > 1:
            return _segmentation(scores, len(size or scores.shape[2:]), output is not None)
    return _of_scores(answer)


def _segmentation(scores: Tensor, axes: int, picked: bool) -> Task:
    """Of inputs with so many axes; picked: whether `output=` says that these are scores."""
    classes, grid = scores.shape[1], scores.shape[2:]
    named = "one class" if classes == 1 else f"{classes} classes"
    told = f"segmentation: {named} at {' × '.join(map(str, grid))} positions" + ("" if picked else DOUBTS.get(axes, ""))
    order = scores.detach().argmax(dim=1).flatten().bincount(minlength=classes).argsort(descending=True)
    targets: tuple[tuple[str, str], ...] = REGIONS
    if len(grid) == axes and axes in PLACES:
        mask = (f"a class in a mask of each {MASKS[axes]}", "--target {0} --where mask:FOLDER")
        targets = (*REGIONS[:2], *PLACES[axes], REGIONS[2], mask)
    return Task(told, (*_of_classes(targets, order.tolist()), OWN), dense=True)


def _detection(answer: Answer) -> Task:
    try:
        found = answer.form(detections_of)
    except OutputError as error:
        return Task(f"detection, in a form that is not known: {error}", (OWN,))
    boxes = sum(map(len, found))
    named = f"{boxes} {'box' if boxes == 1 else 'boxes'}"
    best = max((float(each.scores.detach().max()) for each in found if len(each)), default=None)
    seen = "nothing" if best is None else f"{named}, the best score {best:.2g}"
    least = f"{best / 2:.1g}" if best and best <= LEAST else f"{LEAST:g}"
    none = "" if best is None or best >= USUAL else ": there are none in the image looked at"
    targets = tuple((what.format(none=none), options.format(least=least)) for what, options in BOXES)
    return Task(f"detection; in the image looked at it finds {seen}", (*targets, OWN), found=tuple(found))


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
        (
            *_of_classes(CLASSES, answer.scores[0].detach().argsort(descending=True).tolist()),
            ("a value, if these are values", "--target value:0"),
            LIKE,
            OWN,
        ),
    )


def _of_classes(targets: tuple[tuple[str, str], ...], order: list[int]) -> list[tuple[str, str]]:
    """With classes that the network has, the likeliest first, so that a command can be pasted as it is."""
    return [(what, options.format(*order)) for what, options in targets]


def several_inputs(network: Any) -> str:
    """What is said of a network that needs more than images; empty where it does not."""
    names = needed(network)
    return f"several inputs: forward needs {', '.join(names)}" if len(names) > 1 else ""


def how_to_bind(network: Any) -> list[str]:
    """How such a network is explained: in Python with all its inputs, and by the commands with the others bound."""
    names = needed(network)
    if len(names) < 2:
        return []
    first, *others = names
    inputs = ", ".join(f"{name!r}: {name}" for name in names)
    return [
        f"in Python all inputs go in, and explain= names the one that is explained: explainers.explain(network, "
        f"{{{inputs}}}, 'grad-cam', explain={first!r}) (docs/several-inputs.md)",
        f"the commands explain networks of one input: let --model FILE.py:make return a module whose forward({first}) "
        f"calls this one with {', '.join(others)} that it holds; explain doctor looks at that one",
    ]


def _lowered(index: int) -> tuple[str, str]:
    return "what lowers the value", f"--target value:{index}:lowered"
