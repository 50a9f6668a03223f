"""How maps are held against what was planted: methods, controls, scores with intervals, tables and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import explainers
from explainers.evaluation.controls import center_maps, random_maps
from explainers.evaluation.intervals import interval_of
from explainers.evaluation.metrics.localisation.pointing import energy_pointing_game, pointing_game, relevance_rank

METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "Grad-CAM": ("grad-cam", {}),
    "HiResCAM": ("hires-cam", {}),
    "LayerCAM": ("layer-cam", {}),
    "Guided Backprop": ("guided-backprop", {}),
    "SmoothGrad": ("smooth-grad", {"samples": 16}),
    "Int. Gradients": ("captum:IntegratedGradients", {"n_steps": 24}),
    "Occlusion": ("occlusion", {}),
    "RISE": ("rise", {"masks": 512}),
}
TOGETHER = 2  # inputs: in a pass each is asked for the targets of all
CONTROLS = ("*random map*", "*cone in the middle*")
SCORES = ("pointing game", "energy", "rank", "energy, other")


@dataclass(frozen=True)
class Cases:
    """N inputs with what is asked about them.

    inputs: (N, C, *axes); targets: what is explained of each; truth: (N, *axes) bool, what was planted; others: in the
    same shape, what else was planted and must not be found, or None; output: an adapter, for networks that need
    one; names: of the classes.
    """

    inputs: Tensor
    targets: Sequence[Any]
    truth: Tensor
    others: Tensor | None = None
    output: Any = None
    names: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.inputs)


def maps_of(network: nn.Module, cases: Cases, options: dict[str, dict[str, Any]] | None = None) -> dict[str, Tensor]:
    """(N, *axes) of each method and control; options: of single methods, over those above."""
    found = {}
    for title, (name, given) in METHODS.items():
        own = {**given, **(options or {}).get(title, {})}
        explainer = explainers.create(name, network, output=cases.output, **own)
        parts = [
            explainer(cases.inputs[start : start + TOGETHER], list(cases.targets[start : start + TOGETHER]))
            for start in range(0, len(cases), TOGETHER)
        ]
        found[title] = torch.cat(parts)
        print(f"  {title}", flush=True)
    found[CONTROLS[0]], found[CONTROLS[1]] = random_maps(cases.inputs, 0), center_maps(cases.inputs)
    return found


def scores_of_maps(maps: Tensor, cases: Cases) -> np.ndarray:
    """(scores, N): whether the largest value lies in the truth (no tolerance), the share of the positive mass there,
    the share of the K largest values there (K is its size), and the share of the mass in what else was planted."""
    rows = [
        pointing_game(maps, cases.truth, tolerance=0),
        energy_pointing_game(maps, cases.truth),
        relevance_rank(maps, cases.truth),
    ]
    if cases.others is not None:
        shares = energy_pointing_game(maps, cases.others)
        rows.append(torch.where(cases.others.flatten(1).any(dim=1), shares, torch.nan))
    return torch.stack(rows).numpy()


def table(found: dict[str, np.ndarray], truth: Tensor) -> str:
    """Of (trainings, scores, N) for each method: means with 95 % intervals over inputs, the trainings' means behind."""
    titles = SCORES[: next(iter(found.values())).shape[1]]
    lines = ["| method | " + " | ".join(titles) + " |", "|---|" + "---|" * len(titles)]
    for name, values in found.items():
        lines.append(f"| {name} | " + " | ".join(map(_cell, values.swapaxes(0, 1), titles)) + " |")
    share = truth.flatten(1).double().mean().item()
    return "\n".join([*lines, "", f"{len(truth)} inputs; what was planted is {share:.1%} of an input.", ""])


def _cell(values: np.ndarray, title: str) -> str:
    """Of (trainings, N); over those inputs alone whose maps have a value, and then it says of how many."""
    count = values.shape[1]
    values = values[:, ~np.isnan(values).any(axis=0)]
    left = "" if values.shape[1] == count else f", {values.shape[1]} of {count}"
    interval = interval_of(values.mean(axis=0), share=title == SCORES[0])
    told = " / ".join(f"{mean:.2f}" for mean in values.mean(axis=1))
    if interval is None:
        return "–"
    return f"{values.mean():.2f} [{max(interval[0], 0):.2f}, {min(interval[1], 1):.2f}] ({told}){left}"
