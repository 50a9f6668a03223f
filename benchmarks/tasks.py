"""Every method and metric on every task, and four packages beside them on the same networks, against answers by hand.

    pip install ".[dev,benchmark]" && python benchmarks/tasks.py --out docs/tasks-matrix.md

`--task segmentation` fills the tables of one task; `--keep FOLDER` keeps each task's cells there, and takes those that
are there already, so that a run can be cut off and go on. Networks, questions and answers are those of the tests
(tests/known_networks/task_cases.py, tests/known_answers/task_answers.py and task_scores.py).
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import sys
import warnings
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import torch

sys.path.extend(str(each) for each in (Path(__file__).resolve().parent.parent / "tests").iterdir() if each.is_dir())

from matrix import table
from task_answers import LENIENT, judged, judged_peer
from task_cases import TASKS, TaskCase
from task_peers import TASK_PEERS, offered
from task_scores import judged_metric

import explainers
from explainers.evaluation import available_metrics

RIGHT, REFUSED, ERROR, WRONG, UNJUDGED, ABSENT = (
    "right",
    "refused",
    "error",
    "wrong",
    "no answer by hand",
    "not offered",
)
MARKS = {RIGHT: "✓", REFUSED: "–", ERROR: "error", WRONG: "**✗**", UNJUDGED: "○", ABSENT: ""}
OWN = ("attention", "attention-rollout", "lambda-attention")
VERSIONS = ("torch", "torchvision", "captum", "grad-cam", "torchcam", "monai")


@dataclass(frozen=True)
class Cell:
    """kind: "method", "metric" or "peer"; tool: its name; by: the oracle, or the reason of a refusal or an error."""

    task: str
    network: str
    kind: str
    tool: str
    outcome: str
    by: str


def fill(task: str) -> list[Cell]:
    """All cells of a task, network by network."""
    cells = []
    for case in TASKS[task]():
        before = len(cells)
        cells += [Cell(task, case.name, "method", name, *judged(name, case)) for name in explainers.available()]
        cells += [Cell(task, case.name, "metric", name, *judged_metric(name, case)) for name in available_metrics()]
        cells += [Cell(task, case.name, "peer", f"{method} {package}", *peer(case, method, package))
                  for method, package in TASK_PEERS]  # fmt: skip
        counts = Counter((cell.kind, cell.outcome) for cell in cells[before:])
        print(f"{task}, {case.name}:", ", ".join(f"{a} {b} {n}" for (a, b), n in counts.items()), flush=True)
    return cells


def peer(case: TaskCase, method: str, package: str) -> tuple[str, str]:
    if not offered(package, method, case):
        return ABSENT, ""
    if package == "pytorch-grad-cam" and case.task == "detection":  # its target is IoU + score, another number
        return UNJUDGED, ""
    return judged_peer(method, case, TASK_PEERS[method, package])


def document(cells: list[Cell]) -> str:
    tasks = list(dict.fromkeys(cell.task for cell in cells))
    networks = {task: list(dict.fromkeys(c.network for c in cells if c.task == task)) for task in tasks}
    versions = ", ".join(f"{name} {version(name)}" for name in VERSIONS)
    lines = [
        "# Every method and metric on every task",
        "",
        f"{len(tasks)} tasks, {sum(map(len, networks.values()))} small networks with random weights in float64, one or "
        "two inputs each; a question to each, asked with a target of `explainers.targets`. "
        f"explainers {explainers.__version__}, {versions}; {platform.system()}, {platform.machine()} processor, one "
        "thread. Written by `python benchmarks/tasks.py --out docs/tasks-matrix.md`.",
        "",
        "What the question means is written by hand beside each network (`tests/known_networks/task_cases.py`): the "
        "score S whose gradient is taken, and f(x), which perturbations watch. The right map follows from these two "
        "without a line of any package (`tests/known_answers`): plain autograd, ReLU calls replaced by other "
        "functions, the network run in two halves with the formulas in NumPy loops, one perturbed input after the "
        "other. (KernelSHAP's regression is captum's, on the network and f(x) by hand.)",
        "",
        f"- ✓ *right*: the answer by hand, to 1e-05 of its largest value ({LENIENT:g} of f(x) besides, which is kept "
        "in float32, where perturbations watch it); other packages to 1e-03, up to the scaling to 0 … 1 that they do.",
        "- – *refused*: an exception raised on purpose; the reasons are below.",
        "- ○ *no answer by hand*: a map or value that is not judged here (visual-backprop on networks that are no "
        "chain, where its stages are ours; model-randomisation on several inputs).",
        "- *error*: any other exception. **✗** *wrong*: another map, or a map where the method is not defined.",
        "- blank: the package has no such target or takes no such input.",
        "",
        "Where cells of several networks differ, the number behind each mark says how many.",
        "",
        "## Methods",
        "",
        *_by_task(cells, "method", tasks),
        "",
        "Why they refuse, on how many networks:",
        "",
        *_reasons(cells, "method"),
        "",
        "## Metrics",
        "",
        "The value of a map on f(x) of the target: by hand (insertion and deletion of blocks step by step, drops, "
        "masks and shares in loops), or by identity: the value of the same map on a network of one number, that "
        "returns the f(x) written by hand. Of model-randomisation that number is S.",
        "",
        *_by_task(cells, "metric", tasks),
        "",
        "Why they refuse, on how many networks:",
        "",
        *_reasons(cells, "metric"),
        "",
        "## Beside other packages",
        "",
        "The others are called as their documentation does, with the layer given by hand: pytorch-grad-cam with its "
        "`ClassifierOutputTarget`, `SemanticSegmentationTarget`, `FasterRCNNBoxScoreTarget` (not judged: it is "
        "another number, IoU + score) or a target function; captum with a forward function around the network; "
        "torch-cam and MONAI with class indices. Several inputs are bound by hand for them. "
        "Each gets a copy of the network. Explainers' own cells stand beside them.",
        "",
        *_by_task(cells, "peer", tasks, also=("saliency", "grad-cam", "guided-backprop", "occlusion")),
        "",
        "What is wrong or fails, by how much of the largest value:",
        "",
        *_faults(cells),
        "",
        "## Network by network",
        "",
    ]
    for task in tasks:
        rows = []
        for tool in dict.fromkeys(cell.tool for cell in cells if cell.kind == "method"):
            found = {c.network: c for c in cells if c.task == task and c.kind == "method" and c.tool == tool}
            rows.append([tool, *(MARKS[found[name].outcome] for name in networks[task])])
        lines += [*table([task, *networks[task]], rows), ""]
    return "\n".join(lines)


def _by_task(cells: list[Cell], kind: str, tasks: list[str], also: tuple[str, ...] = ()) -> list[str]:
    outcomes: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for cell in cells:
        if cell.kind == kind or (cell.kind == "method" and cell.tool in also):
            name = f"{cell.tool} explainers" if cell.kind != kind else cell.tool
            outcomes[name, cell.task][cell.outcome] += 1
    tools = sorted({tool for tool, _ in outcomes}, key=lambda tool: (tool.split()[0], "explainers" not in tool))
    return table(["", *tasks], [[tool, *(_marks(outcomes[tool, task]) for task in tasks)] for tool in tools])


def _marks(counts: Counter[str]) -> str:
    if len(counts) == 1:
        return MARKS[next(iter(counts))]
    return " ".join(f"{MARKS[outcome] or 'none'} {count}" for outcome, count in counts.most_common())


def _reasons(cells: list[Cell], kind: str) -> list[str]:
    counts: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for cell in cells:
        if cell.kind == kind and cell.outcome == REFUSED:
            counts[cell.tool, _short(cell.by)][cell.task] += 1
    rows = [[tool, reason, ", ".join(f"{task} {n}" for task, n in by_task.items())]
            for (tool, reason), by_task in sorted(counts.items())]  # fmt: skip
    return table([kind, "reason", "networks"], rows)


def _faults(cells: list[Cell]) -> list[str]:
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for cell in cells:
        if cell.outcome in (WRONG, ERROR):
            told = cell.by.removesuffix(" of the largest value")
            found[cell.tool, cell.task].append(f"{cell.network}: {' '.join(told.split())[:120]}")
    return table(["", "task", "networks"], [[*key, "; ".join(told)] for key, told in sorted(found.items())])


def _short(reason: str) -> str:
    """Without the numbers that differ from network to network, and in one line."""
    head, found, rest = reason.partition("the contributions sum to ")
    if found:
        return f"{head}the contributions do not sum to the score{rest[rest.index(', so') :] if ', so' in rest else ''}"
    return " ".join(re.sub(r"class \d+ \[[^]]*\]", "a box", reason).split())


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, help="write the tables there")
    parser.add_argument("--task", nargs="*", choices=list(TASKS), default=list(TASKS), help="these tasks alone")
    parser.add_argument(
        "--keep", type=Path, help="a folder for the cells of each task, taken from there where they are"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    cells: list[Cell] = []
    for task in options.task:
        kept = options.keep / f"{task}.json" if options.keep else None
        if kept is not None and kept.exists():
            cells += [Cell(**each) for each in json.loads(kept.read_text(encoding="utf-8"))]
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = fill(task)
        cells += made
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps([asdict(cell) for cell in made], indent=0), encoding="utf-8")
    if options.out:
        options.out.write_text(document(cells), encoding="utf-8")
    bad = [cell for cell in cells if cell.kind != "peer" and cell.outcome in (ERROR, WRONG)]
    for cell in bad:
        print(f"explainers, {cell.tool} on {cell.task}, {cell.network}: {cell.outcome} ({cell.by})", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
