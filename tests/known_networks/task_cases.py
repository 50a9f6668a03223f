"""Networks of every task with a question each, and what the question means, written by hand without the package.

A row is one input: the network that it alone goes through (other inputs bound), and from what that returned for it to the
score S, of which gradients are taken, and to f(x), which perturbations watch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from detectors import detector
from several import ByHand, cases as several_cases
from task_networks import HEADED, SEGMENTERS, Levels, Plain, drawn
from torch import Tensor, nn

from explainers.targets import Box, Difference, Region, Similarity, Value

Number = Callable[[Any], Tensor]  # from what the network returned for one input to a number with its graph


@dataclass(frozen=True)
class Row:
    """cam: the weights (K,) of the layer's channels where S is linear in their means; classes: from what was returned
    to (1, classes) scores where the target is a class."""

    network: nn.Module
    image: Tensor
    score: Number
    watched: Number
    cam: Tensor | None = None
    classes: Number | None = None
    of_class: int = 0


@dataclass(frozen=True)
class TaskCase:
    """A network and a question. rectifiers, chain: as in network_case.Case; given: further keywords of a call, such as
    explain=; output: the adapter."""

    task: str
    name: str
    network: nn.Module
    inputs: Any
    targets: Any
    layer: str
    rows: list[Row]
    rectifiers: str = "strict"
    chain: bool = False
    given: dict[str, Any] = field(default_factory=dict)
    output: Any = None
    prefix: str = ""  # of the layer in the networks of rows
    call: str = ""  # which of its runs it is there


def images(*size: int, seed: int = 1) -> Tensor:
    """Smooth noise with some fine noise on it."""
    rng = torch.Generator().manual_seed(seed)
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(size) - 2]
    coarse = torch.randn(*size[:2], *[3] * (len(size) - 2), generator=rng, dtype=torch.float64)
    fine = torch.randn(*size, generator=rng, dtype=torch.float64)
    return F.interpolate(coarse, size=size[2:], mode=mode, align_corners=False) + 0.5 * fine


def rows_of(network: nn.Module, inputs: Tensor, score: Number, watched: Number, **more: Any) -> list[Row]:
    return [Row(network, each, score, watched, **more) for each in inputs]


def _rectifiers(name: str) -> str:
    return "smooth" if name == "GELU, maximum" else "strict"


def _cam(network: nn.Module, weights: Callable[[Tensor], Tensor]) -> Tensor | None:
    """Of the networks whose head is one linear layer behind the mean over positions."""
    head = network.head
    averaged = type(network).__name__ in ("Plain", "Skipping")
    return weights(head.weight.detach()) if averaged else None  # type: ignore[operator, union-attr, arg-type]


def classes_of(index: int) -> dict[str, Any]:
    return {
        "score": lambda y: y[0, index],
        "watched": lambda y: y.softmax(1)[0, index],
        "classes": lambda y: y,
        "of_class": index,
    }


def headed(task: str, axes: int, size: tuple[int, ...]) -> list[TaskCase]:
    """Classifiers of images, volumes or signals."""
    made = []
    for number, (name, build) in enumerate(HEADED.items()):
        network, x = drawn(build(axes), 10 + number), images(2, 3, *size, seed=number)
        rows = rows_of(network, x, **classes_of(1), cam=_cam(network, lambda weight: weight[1]))
        made.append(TaskCase(task, name, network, x, 1, "last", rows, _rectifiers(name), name == "plain"))
    return made


def classification() -> list[TaskCase]:
    made = headed("classification", 2, (32, 32))
    network, x = made[0].network, images(2, 3, 32, 32, seed=9)
    rows = rows_of(
        network, x, lambda y: y[0, 1] - y[0, 3], lambda y: y.softmax(1)[0, 1] - y.softmax(1)[0, 3],
        cam=_cam(network, lambda weight: weight[1] - weight[3]),
    )  # fmt: skip
    made.append(
        TaskCase("classification", "plain, 1 rather than 3", network, x, Difference(1, 3), "last", rows, chain=True)
    )
    return made


def volumes() -> list[TaskCase]:
    made = headed("volumes", 3, (5, 11, 8))
    network, x = drawn(Plain(3, channels=3, kernel=(1, 3, 3)), 20), images(2, 3, 4, 12, 9)
    rows = rows_of(network, x, **classes_of(2), cam=_cam(network, lambda weight: weight[2]))
    made.append(TaskCase("volumes", "plain, slices apart", network, x, 2, "last", rows, chain=True))
    return made


def signals() -> list[TaskCase]:
    return headed("signals", 1, (37,))


def segmentation() -> list[TaskCase]:
    mask = torch.zeros(32, 32, dtype=torch.bool)
    mask[4:15, 9:22] = True
    regions: dict[str, Region] = {
        "U-Net": Region(1, mask), "coarse, dict": Region(2, (4, 8, 18, 20)), "transposed": Region(1),
        "dilated": Region(None, "predicted"), "one channel": Region(0, (11, 6)),
    }  # fmt: skip
    made = []
    for number, (name, build) in enumerate(SEGMENTERS.items()):
        network, x = drawn(build(), 30 + number), images(2, 3, 32, 32, seed=number)
        rows = [_region_row(name, network, image, mask) for image in x]
        kind = "smooth" if name == "one channel" else "strict"
        made.append(TaskCase("segmentation", name, network, x, regions[name], "layer", rows, kind))
    for axes, (size, region) in OF_OTHER_AXES.items():
        network, x = drawn(Levels(axes), 36 + axes), images(2, 3, *size, seed=axes)
        part = tuple(slice(*each) for each in region.where)

        def score(y: Tensor, part: Any = part) -> Tensor:
            return y[(0, 1, *part)].mean()

        def watched(y: Tensor, part: Any = part) -> Tensor:
            return y.softmax(1)[(0, 1, *part)].mean()

        name = "of volumes" if axes == 3 else "of signals"
        rows = rows_of(network, x, score, watched)
        made.append(TaskCase("segmentation", name, network, x, region, "layer", rows))
    return made


OF_OTHER_AXES = {3: ((4, 10, 8), Region(1, ((1, 3), (2, 7), (0, 5)))), 1: ((36,), Region(1, ((9, 23),)))}


def _region_row(name: str, network: nn.Module, image: Tensor, mask: Tensor) -> Row:
    dense: Number = (lambda y: y["out"]) if name == "coarse, dict" else (lambda y: y)
    with torch.no_grad():
        clean = dense(network(image[None]))[0]
    weights, index = torch.ones(clean.shape[1:], dtype=torch.float64), 1
    if name == "U-Net":
        weights = mask.double()
    elif name == "coarse, dict":  # cells of 4 × 4 pixels: columns 4 … 18, rows 8 … 20
        weights, index = torch.zeros(8, 8, dtype=torch.float64), 2
        weights[2:5, 1:4], weights[2:5, 4] = 1.0, 0.5
    elif name == "dilated":
        predicted = clean.argmax(0)
        index = int(torch.bincount(predicted.flatten()).argmax())
        weights = (predicted == index).double()
    elif name == "one channel":
        weights, index = torch.zeros(32, 32, dtype=torch.float64), 0
        weights[6, 11] = 1.0
    share = weights / weights.sum()
    values: Number = torch.sigmoid if name == "one channel" else (lambda y: y.softmax(1))
    return Row(
        network,
        image,
        lambda y: (dense(y)[0, index] * share).sum(),
        lambda y: (values(dense(y))[0, index] * share).sum(),
    )


DETECTORS = {
    "grid": "features", "fasterrcnn": "backbone.body.c2", "retinanet": "backbone.body.c2", "fcos": "backbone.body.c2",
    "ssd": "backbone.fine",
}  # fmt: skip


STEMS = {**dict.fromkeys(("fasterrcnn", "retinanet", "fcos"), "backbone.body.c0"), "ssd": "backbone.fine"}


class Uneven(nn.Module):
    """Adds something else at each position. On a black image all scores would be equal, and which of them is kept would
    hang on the rounding of the batch that the image is in."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("places", 0.1 * images(1, 3, 64, 64, seed=8))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.places


def detection() -> list[TaskCase]:
    made = []
    for name, layer in DETECTORS.items():
        network, adapter = detector(name)
        network, x = network.double(), images(1, 3, 64, 64, seed=4).sigmoid()
        if name != "grid":
            network.get_submodule(STEMS[name]).insert(0, Uneven())
        rows, targets = [], []
        for image in x:
            box, label = best_of(name, network, image)
            targets.append(Box(box, label))
            rows.append(Row(network, image, *_box_numbers(name, box, label)))
        kind = "strict" if name in ("grid", "ssd") else "mixed"
        made.append(TaskCase("detection", name, network, x, targets, layer, rows, kind, output=adapter))
    return made


def found_by(name: str, returned: Any) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Boxes (D, 4), labels, scores, and of the grid the class probabilities, of the one image."""
    if name != "grid":
        return returned[0]["boxes"], returned[0]["labels"], returned[0]["scores"], None
    raw = returned[0].flatten(1).T  # cells in rows: centre, size, objectness, classes
    columns = returned.shape[3]
    at = torch.arange(len(raw))
    centre = (raw[:, :2].sigmoid() + torch.stack([at % columns, at // columns], 1)) * 8
    boxes = torch.cat([centre - raw[:, 2:4].exp() * 6, centre + raw[:, 2:4].exp() * 6], 1)
    return boxes, raw[:, 5:].argmax(1), raw[:, 4].sigmoid(), raw[:, 5:].softmax(1)


def best_of(name: str, network: nn.Module, image: Tensor) -> tuple[tuple[float, ...], int]:
    with torch.no_grad():
        boxes, labels, scores, shares = found_by(name, network(image[None].clone()))
    best = int((scores if shares is None else scores * shares.amax(1)).argmax())
    return tuple(boxes[best].tolist()), int(labels[best])


def overlaps(box: tuple[float, ...], boxes: Tensor) -> Tensor:
    """IoU with each, a box at a time."""
    found = []
    for x0, y0, x1, y1 in boxes.detach().tolist():
        shared = max(0.0, min(x1, box[2]) - max(x0, box[0])) * max(0.0, min(y1, box[3]) - max(y0, box[1]))
        found.append(shared / ((box[2] - box[0]) * (box[3] - box[1]) + (x1 - x0) * (y1 - y0) - shared))
    return torch.tensor(found, dtype=torch.float64)


def _box_numbers(name: str, box: tuple[float, ...], label: int) -> tuple[Number, Number]:
    """ODAM's score and D-RISE's likeness: IoU · cosine with one-hot of the label · objectness."""

    def parts(returned: Any) -> tuple[Tensor, Tensor, Tensor]:
        boxes, labels, scores, shares = found_by(name, returned)
        overlap = overlaps(box, boxes)
        if shares is None:
            return scores, overlap * (labels == label) * scores.detach(), overlap
        cosine = (shares[:, label] / shares.norm(dim=1)).detach()
        return scores * shares[:, label], overlap * cosine * scores.detach(), overlap

    def score(returned: Any) -> Tensor:
        values, likeness, overlap = parts(returned)
        likeness = torch.where(overlap >= 0.5, likeness, 0.0)
        return values[int(likeness.argmax())] if len(likeness) and float(likeness.max()) > 0 else values.sum() * 0

    def watched(returned: Any) -> Tensor:
        likeness = parts(returned)[1]
        return likeness.max() if len(likeness) else torch.zeros((), dtype=torch.float64)

    return score, watched


def similarity() -> list[TaskCase]:
    made = []
    for number, (name, build) in enumerate(HEADED.items()):
        network, x = drawn(build(2, 7), 40 + number), images(2, 3, 32, 32, seed=number)
        reference = images(1, 3, 32, 32, seed=77)
        with torch.no_grad():
            wanted = network(reference)[0]

        def cosine(y: Tensor, wanted: Tensor = wanted) -> Tensor:
            return (y[0] * wanted).sum() / ((y[0] ** 2).sum().sqrt() * (wanted**2).sum().sqrt())

        rows, kind = rows_of(network, x, cosine, cosine), _rectifiers(name)
        target = Similarity(reference[0] if number % 2 else wanted)
        made.append(TaskCase("similarity", name, network, x, target, "last", rows, kind, name == "plain"))
    return made


def value() -> list[TaskCase]:
    made = []
    for number, (name, build) in enumerate(HEADED.items()):
        out, index, sign = (1, 0, 1) if number % 2 else (3, 2, -1)
        network, x = drawn(build(2, out), 50 + number), images(2, 3, 32, 32, seed=number)

        def number_of(y: Tensor, index: int = index, sign: int = sign) -> Tensor:
            return sign * y[0, index]

        cam = _cam(network, lambda weight, index=index, sign=sign: sign * weight[index])  # type: ignore[misc]
        rows = rows_of(network, x, number_of, number_of, cam=cam)
        target = Value(index, lowered=sign < 0)
        made.append(TaskCase("value", name, network, x, target, "last", rows, _rectifiers(name), name == "plain"))
    return made


SEVERAL = {
    "shared, left": ("trunk.last", "#0"), "shared, right": ("trunk.last", "#1"), "two, left": ("left.last", ""),
    "two, right": ("right.last", ""), "late": ("trunk.last", ""), "film": ("act", ""), "mapping": ("inner.trunk.last", ""),
}  # fmt: skip


def several_inputs() -> list[TaskCase]:
    made, known = [], several_cases(2)
    for name, (layer, call) in SEVERAL.items():
        network, inputs, which, _, bind = known[name]
        if isinstance(which, int):
            x = inputs[which]
        else:
            x = inputs[which or "photo"] if isinstance(inputs, dict) else inputs[0]
        pick: Number = (lambda y: y["logits"]) if name == "mapping" else (lambda y: y)
        cam = network.head.weight.detach()[1] if name == "film" else None  # type: ignore[union-attr, index]
        rows = [
            Row(ByHand(network, bind(row)).eval(), x[row], lambda y, pick=pick: pick(y)[0, 1],
                lambda y, pick=pick: pick(y).softmax(1)[0, 1], cam, classes=pick, of_class=1)
            for row in range(len(x))
        ]  # fmt: skip
        given = {} if which is None else {"explain": which}
        made.append(
            TaskCase("several inputs", name, network, inputs, 1, layer, rows, given=given, prefix="network.", call=call)
        )
    return made


TASKS: dict[str, Callable[[], list[TaskCase]]] = {
    "classification": classification, "segmentation": segmentation, "detection": detection, "similarity": similarity,
    "value": value, "several inputs": several_inputs, "volumes": volumes, "signals": signals,
}  # fmt: skip
