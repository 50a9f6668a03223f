"""Every method on every network of the tests, and five packages side by side, against answers made by hand.

    pip install ".[dev,benchmark]" && python benchmarks/matrix.py --out docs/matrix.md

The networks and the answers are those of the tests (tests/known_networks, tests/known_answers); they share no code with
any of the packages, ours included.
"""

from __future__ import annotations

import argparse
import platform
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

sys.path.extend(str(each) for each in (Path(__file__).resolve().parent.parent / "tests").iterdir() if each.is_dir())

from answers import Answers
from network_case import METHODS, Case, as_it_is
from network_traces import Traces
from networks import NETWORKS, affordable
from peers import PEERS, Call, Made, is_refusal, ours

import explainers

RIGHT, REFUSED, ERROR, WRONG = "right", "refused", "error", "silently wrong"
NOT_RUN = "not run"  # a pass per channel on library networks
KINDS = (RIGHT, REFUSED, ERROR, WRONG)
MARKS = {NOT_RUN: "", RIGHT: "✓", REFUSED: "–", ERROR: "error", WRONG: "**✗**"}
OURS, PEER = 1e-5, 1e-3  # what may be missing, relative to the largest value; peers compute in part in float32
COMPARED = ("guided-backprop", "deconvolution", "grad-cam")
Tool = tuple[str, str]  # method, package
LIBRARIES = ("torch", "torchvision", "timm", "transformers", "open_clip_torch")
VERSIONS = (*LIBRARIES, "captum", "grad-cam", "torchcam", "zennit")


@dataclass
class Matrix:
    """Outcomes by network and tool, and what each package left behind on how many networks."""

    cells: dict[str, dict[Tool, str]] = field(default_factory=dict)
    left: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def count(self, tool: Tool, names: Iterable[str] | None = None) -> Counter[str]:
        return Counter(self.cells[name][tool] for name in (self.cells if names is None else names))


def tools() -> dict[Tool, Call]:
    own: dict[Tool, Call] = {(method, "explainers"): ours(method) for method in explainers.available()}
    return {**own, **PEERS}


def fill(names: Iterable[str]) -> Matrix:
    matrix = Matrix()
    for name in names:
        case = NETWORKS[name]
        plain, images = case.plain(), case.images()
        answers = Answers(case, plain, images)
        if case.refused >= METHODS:  # what it returns is no scores, so there is nothing to choose among
            answers = Answers(case, plain, images, torch.zeros(len(images), dtype=torch.long))
        matrix.cells[name] = {}
        left: dict[str, set[str]] = defaultdict(set)
        for tool, call in tools().items():
            if not affordable(case, tool[0]):
                matrix.cells[name][tool] = NOT_RUN
                continue
            outcome, traces = attempt(tool, call, case, plain, answers)
            matrix.cells[name][tool] = outcome
            left[tool[1]].update(traces)
        for package, remains in left.items():
            matrix.left[package].update(remains or {"nothing"})
        print(f"{name}: {' '.join(MARKS[outcome] for outcome in matrix.cells[name].values())}", flush=True)
    return matrix


def attempt(tool: Tool, call: Call, case: Case, plain: nn.Module, answers: Answers) -> tuple[str, list[str]]:
    """The outcome of one call on a fresh copy of the network, and what it left there."""
    method, package = tool
    network, images, targets = case.given_network(plain), answers.images.clone(), answers.targets.clone()
    made: Made | None
    traces = Traces(network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with case.around():
                made = call(case, network, images, targets)
        except Exception as error:  # whatever a package raises is an outcome here
            return (REFUSED if is_refusal(error, package) else ERROR), traces.left()
        if made is None:  # pytorch-grad-cam's `with` swallows an IndexError inside it
            return ERROR, traces.left()
        return judge(method, package, case, answers, made), traces.left()


def judge(method: str, package: str, case: Case, answers: Answers, made: Made) -> str:
    """Right or silently wrong; where the method is not defined on the network every map is wrong."""
    if not answers.defined(method) or case.refused >= METHODS:
        return WRONG
    if made.layer is not None and made.layer != case.layer:
        answers = own_layer(case, answers, made.layer)
    if package == "explainers":
        return RIGHT if answers.error(method, torch.from_numpy(made.maps)) < OURS else WRONG
    found, wanted = made.maps.astype(float), answers.maps(method)
    if found.shape != wanted.shape or not np.isfinite(found).all():
        return WRONG
    if made.scaled:
        found, wanted = stretched(found, 1.0), stretched(wanted, np.abs(wanted).max())
    worst = np.abs(found - wanted).max(axis=(1, 2))
    return RIGHT if (worst <= PEER * np.abs(wanted).max(axis=(1, 2))).all() else WRONG


def own_layer(case: Case, answers: Answers, layer: str) -> Answers:
    """The answers for the layer that a package chose by itself, read as it reads it: as (N, C, h, w)."""
    names = dict(answers.network.named_modules(remove_duplicate=False))
    plain = next((name for name in (layer, layer.partition(".")[2]) if name in names), None)
    chosen = replace(case, layer=plain or case.layer, spatial=as_it_is if plain != case.layer else case.spatial)
    return Answers(chosen, answers.network, answers.images, answers.targets)


def stretched(maps: np.ndarray, size: float) -> np.ndarray:
    """Each map to 0 … 1, which peers do; one that is constant but for the rounding of numbers of this size is 0."""
    low, high = maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True)
    varies = high - low > 1e-6 * size
    return np.where(varies, (maps - low) / np.where(varies, high - low, 1), 0)


def document(matrix: Matrix) -> str:
    compared = [tool for method in COMPARED for tool in tools() if tool[0] == method]
    own = [tool for tool in tools() if tool[1] == "explainers"]
    groups: dict[str, list[str]] = defaultdict(list)
    for name in matrix.cells:
        groups[NETWORKS[name].group].append(name)
    sizes = ", ".join(f"{group} {len(names)}" for group, names in groups.items())
    versions = ", ".join(f"{name} {version(name)}" for name in VERSIONS)
    lines = [
        "# Every method on every network, and five packages side by side",
        "",
        f"{len(matrix.cells)} networks ({sizes}) with random weights, two images each, float64, targets given. "
        f"explainers {explainers.__version__}, {versions}; {platform.system()}, {platform.machine()} processor, one "
        "thread. Written by `python benchmarks/matrix.py --out docs/matrix.md`.",
        "",
        "The answers are made by hand (`tests/known_answers`, checked in `tests/test_answers.py`) and share no "
        "code with any package: ReLU calls replaced by other functions, networks run in two halves, formulas in "
        "NumPy loops.",
        "",
        f"- ✓ *right*: the method's map, to {OURS:g} of its largest value for explainers, {PEER:g} for the others (and "
        "up to the scaling to 0 … 1 that pytorch-grad-cam and torch-cam do).",
        "- – *refused*: an exception raised on purpose (for explainers: of `explainers.errors`; for the others: by a "
        "`raise` or `assert` of their own).",
        "- *error*: any other exception.",
        "- **✗** *silently wrong*: a map that is not the method's, or a map where the method is not defined (Guided "
        "Backprop on a network without ReLUs is the plain gradient under another name).",
        "- blank: not run (Score-CAM and Ablation-CAM take a pass per channel, and library networks have hundreds).",
        "",
        "The others are called as their documentation does, with the layer, and the reshaping of tokens, given by "
        "hand; torch-cam finds its own layer and is judged on that one. Networks that return tuples or dicts go to all "
        "as they are.",
        "",
        "## Totals",
        "",
        *table(["method", "package", *KINDS], [[*tool, *_counts(matrix, tool)] for tool in compared]),
        "",
        *table(
            ["method (explainers)", *KINDS], [[tool[0], *_counts(matrix, tool)] for tool in own if tool not in compared]
        ),
        "",
        "What was left on the network after the calls above, in networks (some count their own calls in a buffer, or "
        "are compiled by their first call):",
        "",
        *table(["package", "left behind"], [[package, _left(counts)] for package, counts in matrix.left.items()]),
        "",
        "## Side by side",
        "",
    ]
    for group, names in groups.items():
        rows = [[name, *(MARKS[matrix.cells[name][tool]] for tool in compared)] for name in names]
        lines += [*table([group, *(f"{method}<br>{package}" for method, package in compared)], rows), ""]
    lines += ["## All methods of explainers", ""]
    for group, names in groups.items():
        rows = [[name, *(MARKS[matrix.cells[name][tool]] for tool in own)] for name in names]
        lines += [*table([group, *(method for method, _ in own)], rows), ""]
    return "\n".join(lines)


def table(head: list[str], rows: list[list[Any]]) -> list[str]:
    escaped = [" | ".join(str(cell).replace("|", "\\|") for cell in row) for row in [head, *rows]]
    return [f"| {escaped[0]} |", "|---" * len(head) + "|", *(f"| {row} |" for row in escaped[1:])]


def _counts(matrix: Matrix, tool: Tool) -> list[int]:
    counted = matrix.count(tool)
    return [counted[kind] for kind in KINDS]


def _left(counts: Counter[str]) -> str:
    return ", ".join(f"{what} {count}" for what, count in counts.most_common())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, help="write the tables there")
    parser.add_argument(
        "--only", nargs="*", default=[""], help="networks whose name contains, or group is, one of these"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    chosen = [
        name for name, case in NETWORKS.items() if any(part in name or part == case.group for part in options.only)
    ]
    matrix = fill(chosen)
    if options.out:
        options.out.write_text(document(matrix), encoding="utf-8")
    bad = [(name, tool) for name, cells in matrix.cells.items() for tool, outcome in cells.items()
           if tool[1] == "explainers" and outcome in (ERROR, WRONG)]  # fmt: skip
    for name, (method, _) in bad:
        print(f"explainers, {method} on {name}: {matrix.cells[name][method, 'explainers']}", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
