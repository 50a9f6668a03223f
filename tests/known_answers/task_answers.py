"""The right map of each method for a question of any task: that of a network that returns S and f(x), made by hand."""

from __future__ import annotations

from typing import Any

import answer_layers as layers
import numpy as np
import torch
from answer_layers import Array
from answers import Answers
from network_case import LAYER, WATCHING, Case
from task_cases import Row, TaskCase
from torch import Tensor

RECTIFIED = ("guided-backprop", "guided-backprop-minus", "deconvolution", "guided-grad-cam")


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


def error(method: str, case: TaskCase, maps: Tensor) -> float:
    """Largest deviation of maps (N, *axes) from the answers, relative to the largest value of each."""
    return max(
        TaskAnswers(case, row).error(method, map_[None]) for row, map_ in zip(case.rows, maps, strict=True)
    )


def defined(method: str, case: TaskCase) -> bool:
    return all(TaskAnswers(case, row).defined(method) for row in case.rows)


def wanted(method: str, case: TaskCase) -> np.ndarray:
    """(N, *axes)."""
    return np.concatenate([TaskAnswers(case, row).maps(method) for row in case.rows])


__all__ = ["LAYER", "RECTIFIED", "WATCHING", "TaskAnswers", "defined", "error", "wanted"]
