"""The right value of each metric for a question of any task: in loops, or on a network that returns f(x) alone."""

from __future__ import annotations

import copy
import itertools
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from task_cases import Row, TaskCase
from torch import Tensor, nn

import explainers
from explainers.errors import ExplainersError
from explainers.evaluation.metric import create_metric
from explainers.targets import Value

PATCH = 8
BROKEN = re.compile(r"fails on every image .*: \w+(Error|Exception): ")  # another exception, told in a refusal's words


class OneNumber(nn.Module):
    """A network that returns f(x) of a row alone, written by hand."""

    def __init__(self, row: Row) -> None:
        super().__init__()
        self.network, self.number = row.network, row.watched

    def forward(self, images: Tensor) -> Tensor:
        return torch.stack([self.number(self.network(image[None].clone())) for image in images])[:, None]


def of_score(row: Row) -> nn.Module:
    """A copy of a row's network, its layers named as before, that returns S."""
    network = copy.deepcopy(row.network)

    def numbers(module: Any, given: Any, returned: Any) -> Tensor:
        return torch.stack([row.score(_one(returned, at)) for at in range(len(given[0]))])[:, None]

    network.register_forward_hook(numbers)
    return network


def _one(returned: Any, at: int) -> Any:
    """What was returned for one image, as a batch of one."""
    if isinstance(returned, dict):
        return {key: value[at : at + 1] for key, value in returned.items()}
    return returned[at : at + 1]


def map_of(image: Tensor) -> Tensor:
    """(*axes): a map without ties that varies over the image."""
    rng = torch.Generator().manual_seed(3)
    return image.abs().sum(0) + 0.1 * torch.rand(image.shape[1:], generator=rng, dtype=image.dtype)


def maps_of(images: Tensor) -> Tensor:
    return torch.stack([map_of(image) for image in images])


def mask_of(image: Tensor) -> Tensor:
    """(*axes) bool: a block in the middle."""
    mask = torch.zeros(image.shape[1:], dtype=torch.bool)
    mask[tuple(slice(side // 4, side // 4 + max(1, side // 2)) for side in mask.shape)] = True
    return mask


METRIC_OPTIONS: dict[str, dict[str, Any]] = {
    **{name: {"steps": 8} for name in ("insertion", "deletion", "morf", "lerf", "id-score")},
    **{
        name: {"patch": PATCH, "steps": 10**6, "baseline": "zero"} for name in ("patch-insertion", "patch-deletion", "pid")
    },
    **{name: {"reference": "other"} for name in ("pearson", "spearman", "top-k-intersection")},
    "ssim": {"reference": "other", "window": 5},
    "max-sensitivity": {"samples": 2}, "infidelity": {"samples": 3}, "model-randomisation": {"stages": 2},
    "pixel-perturbation": {"percent": (10, 40, 80)}, "road": {"percent": (20, 60)},
    "threshold-insertion": {"thresholds": 5}, "threshold-deletion": {"thresholds": 5},
}  # fmt: skip


def evaluated(metric: str, model: Any, inputs: Any, images: Tensor, targets: Any, **given: Any) -> list[float]:
    """The value of each image's map, nan where it is not defined."""

    def explained(given_inputs: Any) -> Tensor:
        if isinstance(given_inputs, Tensor):
            return given_inputs
        key = given.get("explain", "photo")
        if isinstance(given_inputs, dict):
            return given_inputs[key]
        return given_inputs[0 if isinstance(key, str) else key]  # "photo" and "left" come first

    asked: dict[str, Any] = {
        "mine": lambda inputs, targets: maps_of(explained(inputs)),
        "other": lambda inputs, targets: maps_of(explained(inputs).flip(-1)),
    }
    judged_maps = "mine"
    if metric == "model-randomisation":
        asked, judged_maps = {"saliency": "saliency"}, "saliency"
    masks = torch.stack([mask_of(image) for image in images])
    made = create_metric(metric, **METRIC_OPTIONS.get(metric, {}))
    result = explainers.evaluate(model, inputs, asked, [made], targets, masks, **given)
    rows = [row for row in result.rows if row["explainer"] == judged_maps]
    failed = [row["reason"] for row in rows if row["status"] != "ok"]
    if failed:
        raise ArithmeticError(failed[0])
    return [float("nan") if row["value"] is None else row["value"] for row in rows]


def judged_metric(metric: str, case: TaskCase) -> tuple[str, str]:
    """What became of a metric on a case, as `judged`."""
    images = torch.stack([row.image for row in case.rows])
    given = {**case.given, **({} if case.output is None else {"output": case.output})}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = evaluated(metric, case.network, case.inputs, images, case.targets, **given)
        except ExplainersError as error:
            return ("error" if BROKEN.search(str(error)) else "refused"), str(error)
        except Exception as error:  # whatever is raised is an outcome here
            return "error", repr(error)
        by_hand = BY_HAND.get(metric)
        wanted: list[float] = []
        for row in case.rows:
            if by_hand is not None:
                wanted.append(by_hand(row, map_of(row.image), mask_of(row.image)))
                continue
            if metric == "model-randomisation" and case.prefix:  # weights are drawn by the names of layers
                return "no answer by hand", ""
            number = of_score(row) if metric == "model-randomisation" else OneNumber(row)
            one = row.image[None]
            wanted += evaluated(metric, number, one, one, Value(0), activation=None)
    close = len(found) == len(wanted) and np.allclose(found, wanted, rtol=1e-4, atol=1e-6, equal_nan=True)
    return ("right", "by hand" if by_hand else "identity") if close else ("wrong", f"{found} instead of {wanted}")


def _f(row: Row, image: Tensor) -> float:
    with torch.no_grad():
        return float(row.watched(row.network(image[None].clone())))


def _scaled(map_: Tensor) -> Tensor:
    return (map_ - map_.min()) / (map_.max() - map_.min())


def _walk(row: Row, start: Tensor, end: Tensor, map_: Tensor) -> float:
    """The area under f while blocks go from start to end, the one with the largest value first."""
    blocks = []
    for corner in itertools.product(*(range(0, side, PATCH) for side in map_.shape)):
        place = tuple(slice(at, at + PATCH) for at in corner)
        blocks.append((-float(map_[place].max()), place))
    image, values = start.clone(), [_f(row, start)]
    for _, place in sorted(blocks, key=lambda block: block[0]):
        image[(slice(None), *place)] = end[(slice(None), *place)]
        values.append(_f(row, image))
    return sum((a + b) / 2 for a, b in itertools.pairwise(values)) / (len(values) - 1)


def _rising(row: Row, map_: Tensor, mask: Tensor) -> float:
    return _walk(row, torch.zeros_like(row.image), row.image, map_)


def _falling(row: Row, map_: Tensor, mask: Tensor) -> float:
    return _walk(row, row.image, torch.zeros_like(row.image), map_)


def _drop(row: Row, map_: Tensor, mask: Tensor) -> float:
    clean, seen = _f(row, row.image), _f(row, row.image * _scaled(map_))
    return max(0.0, clean - seen) / clean if clean > 0 else float("nan")


def _without_least(row: Row, map_: Tensor, mask: Tensor) -> float:
    clean, changes = _f(row, row.image), []
    order = sorted(range(map_.numel()), key=lambda at: -float(map_.flatten()[at]))
    for percent in (10, 40, 80):
        image = row.image.clone().flatten(1)
        image[:, order[round((1 - percent / 100) * len(order)) :]] = 0
        changes.append(abs(clean - _f(row, image.view_as(row.image))) / abs(clean))
    return sum(changes) / 3


def _gini(row: Row, map_: Tensor, mask: Tensor) -> float:
    values = np.sort(np.abs(map_.numpy()).ravel())
    pairs = np.abs(values[:, None] - values[None]).sum()  # the mean difference of all pairs
    return float(pairs / (2 * len(values) * values.sum()))


def _entropy(row: Row, map_: Tensor, mask: Tensor) -> float:
    share = np.abs(map_.numpy()).ravel() / np.abs(map_.numpy()).sum()
    return float(-(share[share > 0] * np.log(share[share > 0])).sum())


def _rank(row: Row, map_: Tensor, mask: Tensor) -> float:
    order = sorted(range(map_.numel()), key=lambda at: -float(map_.flatten()[at]))
    size = int(mask.sum())
    return sum(bool(mask.flatten()[at]) for at in order[:size]) / size


def _kept(row: Row, map_: Tensor, *, keeps: bool) -> float:
    assert row.classes is not None
    hits = []
    for level in np.linspace(0, 1, 6):
        above = _scaled(map_) > level
        with torch.no_grad():
            scores = row.classes(row.network((row.image * (above if keeps else ~above))[None]))
        hits.append(float(int(scores.argmax()) == row.of_class))
    return sum((a + b) / 2 for a, b in itertools.pairwise(hits)) / (len(hits) - 1)


BY_HAND: dict[str, Callable[[Row, Tensor, Tensor], float]] = {
    "patch-insertion": _rising,
    "patch-deletion": _falling,
    "pid": lambda row, map_, mask: _rising(row, map_, mask) - _falling(row, map_, mask),
    "average-drop": _drop,
    "pixel-perturbation": _without_least,
    "increase": lambda row, map_, mask: float(_f(row, row.image * _scaled(map_)) > _f(row, row.image)),
    "sparseness": _gini,
    "complexity": _entropy,
    "energy-pointing-game": lambda row, map_, mask: float(map_[mask].sum() / map_.sum()),
    "relevance-rank": _rank,
    "threshold-insertion": lambda row, map_, mask: _kept(row, map_, keeps=True),
    "threshold-deletion": lambda row, map_, mask: _kept(row, map_, keeps=False),
}
