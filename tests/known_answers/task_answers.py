"""The right map of each method for a question of any task: that of a network that returns S and f(x), made by hand."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import answer_layers as layers
import numpy as np
import torch
from answer_layers import Array
from answer_perturbation import OPTIONS as PERTURBED, strides, windows
from answers import SAMPLES, SIGMA, Answers
from network_case import OWN, WATCHING, Case
from task_cases import Row, TaskCase
from torch import Tensor

import explainers
from explainers.errors import ExplainersError

CLOSE, LENIENT, PEER = 1e-5, 1e-6, 1e-3  # of the largest value; of f(x) besides, where it is watched; of other packages
Outcome = tuple[str, str]


class TaskAnswers(Answers):
    """`Answers` for one row of a case; S stands in column 0 of what the network is taken to return, f(x) in column 1."""

    def __init__(self, case: TaskCase, row: Row) -> None:
        def both(returned: Any) -> Tensor:
            return torch.stack([row.score(returned), row.watched(returned)])[None]

        self.row = row
        described = Case(
            case.name, case.task, lambda: row.network, scores=both, watched=lambda scores: scores[:, 1:],
            layer=f"{case.prefix}{case.layer}{case.call}", rectifiers=case.rectifiers, chain=case.chain,
            linear=None if row.cam is None else "head",
        )  # fmt: skip
        super().__init__(described, row.network, row.image[None], torch.zeros(1, dtype=torch.long))

    def _cam(self, index: int) -> Array:
        assert self.row.cam is not None
        return layers.cam(self._halves(index)[0], self.row.cam.numpy())

    def allowed(self, method: str) -> float:
        """What may be missing because f(x) is kept in float32."""
        with torch.no_grad():
            return LENIENT * abs(float(self.watched(self.images.clone()))) if method in WATCHING else 0.0


def options_of(method: str, case: TaskCase) -> dict[str, Any]:
    """The options with which a method is asked, those of its answer."""
    size = case.rows[0].image.shape[1:]
    known: dict[str, Any] = {
        **PERTURBED,
        "smooth-grad": {"samples": SAMPLES, "sigma": SIGMA},
        "occlusion": {"window": windows(size), "stride": strides(size)},
    }
    options = dict(known.get(method, {}))
    if "layer" in explainers.method(method).needs and method not in OWN:
        options["layer"] = case.layer
    return {**options, **({} if case.output is None else {"output": case.output})}


def judged(method: str, case: TaskCase) -> Outcome:
    """What became of a method's maps of a case: right, refused, wrong, an error; and by what, or why."""
    try:
        explainer = explainers.create(method, case.network, **options_of(method, case))
        maps = explainer(case.inputs, case.targets, **case.given)
    except ExplainersError as error:
        return "refused", str(error)
    except Exception as error:  # whatever is raised is an outcome here
        return "error", repr(error)
    answers = [TaskAnswers(case, row) for row in case.rows]
    if method == "visual-backprop" and not case.chain:  # the paper has chains alone
        return "no answer by hand", ""
    if not all(each.defined(method) for each in answers):
        return "wrong", "the method is not defined here"
    for each, map_ in zip(answers, maps, strict=True):
        missed = each.error(method, map_[None])
        largest = np.abs(each.maps(method)).max()
        if not missed * largest <= CLOSE * largest + each.allowed(method):
            return "wrong", f"off by {missed:.2g} of the largest value"
    return "right", "the answer by hand"


def judged_peer(method: str, case: TaskCase, call: Callable[[TaskCase, Row], Any]) -> Outcome:
    """The same of another package, row by row; its maps may be scaled to 0 … 1, or of a score of its own."""
    for row in case.rows:
        try:
            made = call(case, replace(row, network=copy.deepcopy(row.network)))  # some leave things on it
        except Exception as error:  # whatever a package raises is an outcome here
            return "error", repr(error)
        if made is None:
            return "error", "no map"
        asked = made.row or row
        answers = TaskAnswers(case, asked)
        if not answers.defined(method):
            return "wrong", "the method is not defined here"
        found = np.asarray(made.map, float)
        wanted = answers.maps(method)[0] if made.enlarge is None else made.enlarge(answers.native(method)[0])
        if made.scaled:
            found, wanted = _stretched(found), _stretched(wanted)
        if found.shape != wanted.shape or not np.isfinite(found).all():
            return "wrong", f"a map of {found.shape}"
        largest = np.abs(wanted).max()
        if not np.abs(found - wanted).max() <= PEER * largest:
            return "wrong", f"off by {np.abs(found - wanted).max() / max(largest, 1e-30):.2g} of the largest value"
    return "right", "the answer by hand"


def _stretched(map_: Array) -> Array:
    spread = map_.max() - map_.min()
    return (map_ - map_.min()) / spread if spread > 0 else np.zeros_like(map_)
