"""Grad-CAM and Guided Backprop of five packages on every network of the tests, held against answers made by hand.

    pip install ".[dev,benchmark]" && python benchmarks/matrix.py --out docs/matrix.md

The networks and the answers are those of the tests (tests/networks.py, tests/answers.py); they share no code with any
of the packages.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))

from answers import SAMPLES, SIGMA, Answers
from network_case import Case
from network_traces import Traces
from networks import NETWORKS

import explainers
from explainers.errors import ExplainersError

Maps = Tensor | np.ndarray
RIGHT, REFUSED, ERROR, WRONG = "right", "refused", "error", "silently wrong"
MARKS = {RIGHT: "✓", REFUSED: "refused", ERROR: "error", WRONG: "**wrong**"}
TOLERANCE = 1e-3  # of the largest value; generous to peers that scale in float32


def ours(method: str) -> Callable[[Case, Any, Tensor, Tensor], Maps]:
    def make(case: Case, network: Any, images: Tensor, targets: Tensor) -> Maps:
        options: dict[str, Any] = {"samples": SAMPLES, "sigma": SIGMA} if method == "smooth-grad" else {}
        if case.given and "layer" in explainers.method(method).needs and method != "attention-rollout":
            options["layer"] = case.layer
        return explainers.create(method, network, **options)(images, targets)

    return make


def module(case: Case, network: Any) -> Any:
    return network.get_submodule((case.layer or "").partition("#")[0])


def captum_guided(case: Case, network: Any, images: Tensor, targets: Tensor) -> Maps:
    from captum.attr import GuidedBackprop

    return GuidedBackprop(network).attribute(images.clone(), target=targets).abs().amax(1)


def captum_cam(case: Case, network: Any, images: Tensor, targets: Tensor) -> Maps:
    from captum.attr import LayerGradCam

    maps = LayerGradCam(network, module(case, network)).attribute(
        images.clone(), target=targets, relu_attributions=True
    )
    return torch.nn.functional.interpolate(maps, size=images.shape[-2:], mode="bilinear")[:, 0]


def pytorch_grad_cam_guided(case: Case, network: Any, images: Tensor, targets: Tensor) -> Maps:
    from pytorch_grad_cam import GuidedBackpropReLUModel

    guided = GuidedBackpropReLUModel(network, "cpu")
    maps = [guided(image[None].clone(), target_category=int(c)) for image, c in zip(images, targets, strict=True)]
    return np.abs(np.stack(maps)).max(axis=3)


def pytorch_grad_cam_cam(case: Case, network: Any, images: Tensor, targets: Tensor) -> Maps:
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with GradCAM(network, [module(case, network)], reshape_transform=case.spatial) as cam:
        return cam(images.clone(), [ClassifierOutputTarget(int(c)) for c in targets])


def torchcam_cam(case: Case, network: Any, images: Tensor, targets: Tensor) -> Maps:
    from torchcam.methods import GradCAM

    with GradCAM(network, input_shape=tuple(images.shape[1:])) as cam:
        maps = cam(targets.tolist(), network(images.clone()))[0]
    return torch.nn.functional.interpolate(maps[:, None], size=images.shape[-2:], mode="bilinear")[:, 0]


def zennit_guided(case: Case, network: Any, images: Tensor, targets: Tensor) -> Maps:
    from zennit.attribution import Gradient
    from zennit.composites import GuidedBackprop

    with Gradient(model=network, composite=GuidedBackprop()) as attributor:
        classes = network(images.clone()).shape[1]
        onehot = torch.eye(classes, dtype=images.dtype)[targets]
        return attributor(images.clone(), onehot)[1].abs().amax(1)


TOOLS: dict[tuple[str, str], Callable[[Case, Any, Tensor, Tensor], Maps]] = {
    ("guided-backprop", "explainers"): ours("guided-backprop"),
    ("guided-backprop", "captum"): captum_guided,
    ("guided-backprop", "pytorch-grad-cam"): pytorch_grad_cam_guided,
    ("guided-backprop", "zennit"): zennit_guided,
    ("grad-cam", "explainers"): ours("grad-cam"),
    ("grad-cam", "captum"): captum_cam,
    ("grad-cam", "pytorch-grad-cam"): pytorch_grad_cam_cam,
    ("grad-cam", "torch-cam"): torchcam_cam,
}


def scaled(maps: np.ndarray) -> np.ndarray:
    flat = maps.reshape(len(maps), -1)
    low, high = flat.min(1)[:, None, None], flat.max(1)[:, None, None]
    return (maps - low) / np.where(high > low, high - low, 1)


def verdict(method: str, answers: Answers, maps: Maps, *, up_to_scale: bool) -> str:
    """Right or silently wrong: a map where the method is not defined is wrong, whatever it looks like."""
    if answers.expects(method) == "refusal":
        return WRONG
    expected = np.stack([np.asarray(value) for value in answers.maps(method)])
    found = np.asarray(maps.detach() if isinstance(maps, Tensor) else maps, dtype=np.float64)
    if found.shape != expected.shape or not np.isfinite(found).all():
        return WRONG
    if up_to_scale:
        expected, found = scaled(expected), scaled(found)
    return RIGHT if np.abs(found - expected).max() <= TOLERANCE * np.abs(expected).max() else WRONG


def one(case: Case, method: str, tool: str, call: Callable, plain: Any, answers: Answers) -> tuple[str, list[str]]:
    """The outcome of one call, and what it left behind in the network."""
    if tool == "torch-cam":  # looks for its layer with a float32 image
        network, images = case.given_network(case.plain(torch.float32)), case.images(dtype=torch.float32)
    else:
        network, images = case.given_network(plain), case.images()
    traces = Traces(network)
    with warnings.catch_warnings(), case.around():
        warnings.simplefilter("ignore")
        try:
            targets = torch.zeros(2, dtype=torch.long) if answers.expects(method) == "refusal" else answers.targets
        except Exception:
            targets = torch.zeros(2, dtype=torch.long)
        try:
            maps = call(case, network, images.clone(), targets)
        except ExplainersError:
            return REFUSED, traces.left()
        except Exception:
            return ERROR, traces.left()
    return verdict(method, answers, maps, up_to_scale=tool != "explainers" and method == "grad-cam"), traces.left()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", help="networks whose name contains this")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows, left, totals = [], Counter(), {key: Counter() for key in TOOLS}
    ours_all: Counter[str] = Counter()
    for name, case in NETWORKS.items():
        if options.only and options.only not in name:
            continue
        plain = case.plain()
        answers = Answers(case, plain, case.images())
        cells = []
        for (method, tool), call in TOOLS.items():
            outcome, remains = one(case, method, tool, call, plain, answers)
            totals[method, tool][outcome] += 1
            left[tool] += bool(remains)
            cells.append(MARKS[outcome])
        for method in explainers.available():
            ours_all[one(case, method, "explainers", ours(method), plain, answers)[0]] += 1
        rows.append(f"| {name} | {' | '.join(cells)} |")
        print(rows[-1], flush=True)
    text = document(rows, totals, left, ours_all)
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


def document(rows: list[str], totals: dict, left: Counter, ours_all: Counter) -> str:
    packages = {"torch": "torch", "captum": "captum", "pytorch-grad-cam": "grad-cam", "torch-cam": "torchcam"}
    packages |= {"torchvision": "torchvision", "timm": "timm", "zennit": "zennit"}
    versions = ", ".join(f"{name} {version(package)}" for name, package in packages.items())
    kinds = [RIGHT, REFUSED, ERROR, WRONG]
    lines = [
        "# The same networks, five packages",
        "",
        f"{len(rows)} networks with random weights ({versions}), two small random images each, float64 (torch-cam: "
        "float32), on a CPU. Written by `benchmarks/matrix.py`; the answers are made by hand (`tests/answers.py`) and "
        "share no code with any package.",
        "",
        "*right*: the method's values, to 1e-3 of the largest (Grad-CAM of peers up to their own scaling). *refused*: "
        "an error that says why and what to use instead. *error*: any other exception. *silently wrong*: a map that "
        "is not the method's, or a map where the method is not defined (Guided Backprop without ReLUs is the plain "
        "gradient). Peers get their layer by hand, torch-cam finds its own.",
        "",
        "| method | package | " + " | ".join(kinds) + " |",
        "|---|---|" + "---|" * len(kinds),
    ]
    for (method, tool), counts in totals.items():
        lines.append(f"| {method} | {tool} | " + " | ".join(str(counts[kind]) for kind in kinds) + " |")
    lines += [
        f"| all {len(explainers.available())} methods | explainers | "
        + " | ".join(str(ours_all[k]) for k in kinds)
        + " |",
        "",
        "Calls that left something behind in the network (`.grad` filled, hooks, modes, modules replaced): "
        + ", ".join(f"{tool} {left[tool]}" for tool in dict.fromkeys(tool for _, tool in totals))
        + f" of {len(rows)} networks times its methods above.",
        "",
        "| network | " + " | ".join(f"{method}: {tool}" for method, tool in totals) + " |",
        "|---|" + "---|" * len(totals),
        *rows,
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
