"""What an evaluation costs beside the bare passes and beside other packages, and what adaptive steps save.

    pip install ".[dev]" && python benchmarks/evaluation.py --out benchmarks/evaluation.md

Six parts: overhead, peers, road, growth, adaptive, together; `--part` runs one of them. `--scenes` names the weights
that `benchmarks/scenes.py` makes; without them the last part is left out. About 45 minutes on two quiet cores.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import quantus
import torch
import torch.nn.functional as F
import torchvision
from pytorch_grad_cam.metrics.road import ROADCombined
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
from scenes import Scenes, as_input, untrained
from torch import Tensor, nn
from torchcam.methods import GradCAM as TheirGradCAM
from torchcam.metrics import DeletionInsertionMetric

from explainers import Predictor, create, create_metric, load_model
from explainers.data.digits import digits
from explainers.evaluation.engine import Batch, Engine

warnings.filterwarnings("ignore")
PARTS = ("overhead", "peers", "road", "growth", "adaptive", "together")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
STEPS = 32  # divides 224 × 224, so that everybody looks at the same steps
SIDE = 224
SETTINGS: dict[str, dict[str, Any]] = {
    "float32": {},
    "auto": {"precision": "auto"},
    "auto, compiled": {"precision": "auto", "compile": True},
}


def clock(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def network() -> nn.Module:
    torch.manual_seed(0)
    return torchvision.models.resnet18(weights=None).eval().to(DEVICE)


def images(count: int) -> Tensor:
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)).to(DEVICE)


def blobs(count: int) -> Tensor:
    """Smooth maps without ties, so that every package removes the same pixels."""
    coarse = torch.rand(count, 1, 7, 7, generator=torch.Generator().manual_seed(2))
    fine = torch.rand(count, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(3))
    return (F.interpolate(coarse, size=(SIDE, SIDE), mode="bilinear") + 1e-3 * fine)[:, 0].to(DEVICE)


class Ours:
    """An engine that scores given maps and no controls, with a predictor that lives on from call to call."""

    def __init__(self, model: nn.Module, given: Tensor, maps: Tensor, metrics: list[Any], **passes: Any) -> None:
        explainers = {"given": lambda batch, targets: maps[: len(batch)]}
        titled = {f"{number} {metric.name}": metric for number, metric in enumerate(metrics)}
        self.engine = Engine(model, explainers, titled, Predictor(model, **passes))
        self.batch = Batch(tuple(map(str, range(len(given)))), given, 0)

    def __call__(self) -> dict[str, list[float]]:
        units = list(self.engine.run([self.batch]))
        found: dict[str, list[float]] = {}
        for row in units[0].rows or []:
            found.setdefault(row["metric"], []).append(row["value"])
        return found

    @property
    def passes(self) -> int:
        return self.engine.predictor.passes


def overhead(rounds: int) -> list[str]:
    """Insertion, deletion and PID with all patch sizes of one map, against as many bare passes of the same replica."""
    lines = [
        "| maps | precision | batch | passes | ms per bare pass | ms per pass of the evaluation | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    metrics = [create_metric(name, baseline="zero", steps=STEPS) for name in ("insertion", "deletion", "pid")]
    for maps, (setting, options) in product((1, 4), SETTINGS.items()):
        model, image = network(), images(maps)
        ours = Ours(model, image, blobs(maps), metrics, **options)
        ours()
        size = int(ours.engine.predictor.describe()["batch_size"])
        fast = ours.engine.predictor.replica.ready(image, lambda run, batch: run(batch))
        buffer = torch.randn(size, 3, SIDE, SIDE, device=DEVICE).contiguous(memory_format=torch.channels_last)
        before = ours.passes
        ours()
        count = ours.passes - before

        def bare(fast: Any = fast, buffer: Tensor = buffer, count: int = count, size: int = size) -> None:
            with torch.inference_mode():
                for _ in range(-(-count // size)):
                    fast(buffer)

        pairs = [(clock(bare), clock(ours)) for _ in range(2 if maps > 1 else rounds)]
        alone = statistics.median(each for each, _ in pairs) / (-(-count // size) * size)
        whole = statistics.median(each for _, each in pairs) / count
        ratio = statistics.median(two / count / (one / (-(-count // size) * size)) for one, two in pairs)
        lines.append(
            f"| {maps} | {setting} | {size} | {count} | {1000 * alone:.2f} | {1000 * whole:.2f} | {ratio:.3f} |"
        )
    return lines


def rise_procedure(
    model: nn.Module, image: Tensor, map_: Tensor, target: int, steps: int = STEPS
) -> tuple[float, float]:
    """Petsiuk's evaluation: a pass of one image per step, insertion and deletion on their own."""
    order = map_.flatten().argsort(descending=True, stable=True)
    areas = []
    for start, end in ((torch.zeros_like(image), image), (image, torch.zeros_like(image))):
        state, values = start.clone(), []
        for step in range(steps + 1):
            with torch.no_grad():
                values.append(float(model(state[None]).softmax(1)[0, target]))
            part = order[step * len(order) // steps : (step + 1) * len(order) // steps]
            state.flatten(1)[:, part] = end.flatten(1)[:, part]
        areas.append(float(np.trapezoid(values, dx=1 / steps)))
    return areas[0], areas[1]


def torchcam_procedure(model: nn.Module, given: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
    """torch-cam's curves of given maps; without the pass and the gradient of its own CAM."""
    with TheirGradCAM(model, "layer4") as extractor, torch.inference_mode(), extractor._hooks_off():
        metric = DeletionInsertionMetric(extractor, partial(torch.softmax, dim=-1), steps=STEPS)
        ranks = torch.empty_like(order := maps.flatten(1).argsort(dim=1, descending=True, stable=True))
        ranks.scatter_(1, order, torch.arange(order.shape[1], device=order.device).expand_as(order))
        targets = torch.zeros(len(given), dtype=torch.long, device=given.device)
        scores = model(given).softmax(1)[:, 0]
        shares, *curves = metric._compute_curves(given, torch.zeros_like(given), ranks, targets, scores)
    deletion, insertion = (torch.trapezoid(curve, shares) for curve in curves)
    return insertion, deletion


def peers(rounds: int, count: int = 8) -> list[str]:
    """Insertion and deletion of the same maps at the same steps, taking turns."""
    model, given, maps = network(), images(count), blobs(count)
    metrics = [create_metric(name, baseline="zero", steps=STEPS) for name in ("insertion", "deletion")]
    ours = {setting: Ours(model, given, maps, metrics, **options) for setting, options in SETTINGS.items()}
    flipping = quantus.PixelFlipping(features_in_step=SIDE * SIDE // STEPS, disable_warnings=True)

    def quantus_procedure() -> object:
        array = given.cpu().numpy()
        return flipping(
            model=model, x_batch=array, y_batch=np.zeros(count, int), a_batch=maps[:, None].cpu().numpy(), device=DEVICE
        )

    procedures: dict[str, Callable[[], Any]] = {
        "RISE's procedure, a pass of one image per step": lambda: [
            rise_procedure(model, image, map_, 0) for image, map_ in zip(given, maps, strict=True)
        ],
        "torch-cam, batches of 32": lambda: torchcam_procedure(model, given, maps),
        "Quantus PixelFlipping, deletion alone": quantus_procedure,
        **{f"ours, {setting}": each for setting, each in ours.items()},
    }
    times: dict[str, list[float]] = {name: [] for name in procedures}
    values: dict[str, Any] = {}
    for turn in range(rounds + 1):
        for name, call in procedures.items():
            kept: list[Any] = []
            took = clock(lambda call=call, kept=kept: kept.append(call()))
            values[name] = kept[0]
            if turn:
                times[name].append(took / count * (2 if "deletion alone" in name else 1))
    middle = {name: statistics.median(each) for name, each in times.items()}
    base = min(middle[name] for name in list(procedures)[:2])
    theirs = torch.stack(values["torch-cam, batches of 32"]).double().cpu()
    lines = [
        "| procedure | seconds per map | times faster than the best of the first two | largest difference of an area |",
        "|---|---|---|---|",
    ]
    for name in procedures:
        found = values[name]
        if name.startswith("ours"):
            areas = torch.tensor([found["insertion"], found["deletion"]], dtype=torch.float64)
            difference = f"{float((areas - theirs).abs().max()):.1e}"
        elif name.startswith("RISE"):
            difference = f"{float((torch.tensor(found, dtype=torch.float64).T - theirs).abs().max()):.1e}"
        else:
            difference = "–"
        lines.append(f"| {name} | {middle[name]:.3f} | {base / middle[name]:.2f} | {difference} |")
    return lines


def road(rounds: int, count: int = 2) -> list[str]:
    """ROAD of the same maps at the same percentages."""
    model, given, maps = network(), images(count), blobs(count)
    percent = (10, 20, 30, 40, 50, 60, 70, 80, 90)
    metric = create_metric("road", percent=percent)
    ours = {setting: Ours(model, given, maps, [metric], **options) for setting, options in SETTINGS.items()}
    theirs = ROADCombined(percentiles=list(percent))
    targets = [ClassifierOutputSoftmaxTarget(0)] * count

    def their_procedure() -> Any:
        with torch.no_grad():
            return 2 * theirs(given, maps.cpu().numpy(), targets, model)

    procedures: dict[str, Callable[[], Any]] = {"pytorch-grad-cam ROADCombined": their_procedure}
    procedures |= {f"ours, {setting}": each for setting, each in ours.items()}
    times: dict[str, list[float]] = {name: [] for name in procedures}
    values: dict[str, Any] = {}
    for turn in range(rounds + 1):
        for name, call in procedures.items():
            kept: list[Any] = []
            took = clock(lambda call=call, kept=kept: kept.append(call()))
            values[name] = kept[0]
            if turn:
                times[name].append(took / count)
    middle = {name: statistics.median(each) for name, each in times.items()}
    base, wanted = middle["pytorch-grad-cam ROADCombined"], np.asarray(values["pytorch-grad-cam ROADCombined"])
    lines = ["| procedure | seconds per map | times faster | largest difference |", "|---|---|---|---|"]
    for name, took in middle.items():
        found = np.asarray(values[name]["road"]) if name.startswith("ours") else wanted
        difference = f"{float(np.abs(found - wanted).max()):.1e}" if name.startswith("ours") else "–"
        lines.append(f"| {name} | {took:.3f} | {base / took:.2f} | {difference} |")
    return lines


class Strided(nn.Module):
    """Next to nothing at 224 pixels, so that what is measured is the memory of maps, rankings and curves."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Conv2d(3, 8, 8, stride=8), nn.Linear(8, 10)

    def forward(self, batch: Tensor) -> Tensor:
        return self.head(self.first(batch).relu().mean((2, 3)))


def scored(count: int, methods: int, steps: int) -> tuple[float, float]:
    """Seconds of an evaluation that streams so many images, and the peak memory of this process in MiB."""
    from explainers import evaluate

    torch.manual_seed(0)
    chosen = {f"blob {number}": lambda batch, _: batch.mean(1) for number in range(methods)}
    metrics = [create_metric(name, steps=steps) for name in ("insertion", "deletion")]
    stream = (torch.randn(8, 3, SIDE, SIDE) for _ in range(count // 8))
    took = clock(lambda: evaluate(Strided().eval(), stream, chosen, metrics))
    status = Path("/proc/self/status").read_text()  # getrusage would tell of the process that started this one
    return took, int(status.partition("VmHWM:")[2].split()[0]) / 1024


def growth() -> list[str]:
    """An evaluation alone in a process, with more images, more methods, more steps."""
    lines = ["| images | methods and controls | steps | seconds | peak memory, MiB |", "|---|---|---|---|---|"]
    for case in ((16, 1, 16), (32, 1, 16), (64, 1, 16), (128, 1, 16), (32, 5, 16), (32, 1, 32), (32, 1, 64)):
        told = subprocess.run(
            [sys.executable, __file__, "--scored", *map(str, case)], capture_output=True, text=True, check=True
        )
        took, peak = told.stdout.split()
        lines.append(f"| {case[0]} | {case[1] + 3} | {case[2]} | {float(took):.1f} | {float(peak):.0f} |")
    return lines


@dataclass(eq=False)
class Trained:
    """A trained network with images of its own."""

    about: str
    network: Any
    images: Tensor
    predictor: Predictor

    def areas(self, explainers: Mapping[str, Any], **options: Any) -> tuple[np.ndarray, float]:
        """Insertion and deletion of all maps, and the passes that a curve took."""
        metrics = {name: create_metric(name, baseline="zero", **options) for name in ("insertion", "deletion")}
        engine, found, before = Engine(self.network, explainers, metrics, self.predictor), [], self.predictor.passes
        for first in range(0, len(self.images), 8):
            part = self.images[first : first + 8]
            for unit in engine.run([Batch(tuple(map(str, range(len(part)))), part)]):
                found += [row["value"] for row in unit.rows or []]
        return np.array(found), (self.predictor.passes - before) / len(found)

    def explainers(self) -> dict[str, Any]:
        return {name: create(name, self.network) for name in ("grad-cam", "guided-backprop")}


def embedded(count: int) -> Trained:
    loaded = load_model("embedded", device=DEVICE)
    assert loaded.preprocessing is not None
    photos = digits(count, split="test", start=1000)[0].permute(0, 2, 3, 1).numpy()
    batch = torch.stack([loaded.preprocessing(photo) for photo in photos]).to(DEVICE)
    about = "The embedded classifier, digits on photographs of 96 × 96"
    return Trained(about, loaded.network, batch, Predictor(loaded))


def of_scenes(count: int, weights: Path, **passes: Any) -> Trained:
    model = untrained()
    model.load_state_dict(torch.load(weights, weights_only=True))
    made = Scenes()
    batch = as_input([made(20_000_000 + number)[0] for number in range(count)]).to(DEVICE)
    about = "resnet18 trained on scenes of photographs of 224 × 224 ([scenes.py](scenes.py))"
    return Trained(about, model.eval().to(DEVICE), batch, Predictor(model, **passes))


def adaptive(count: int, weights: Path | None) -> list[str]:
    """Errors of areas against 512 equal steps, on trained networks."""
    lines: list[str] = []
    for trained in (
        embedded(count),
        *([] if weights is None else [of_scenes(count, weights, **SETTINGS["auto, compiled"])]),
    ):
        lines += ["", *_adaptive(trained)] if lines else _adaptive(trained)
    return lines


def _adaptive(trained: Trained) -> list[str]:
    explainers = trained.explainers()
    truth, _ = trained.areas(explainers, steps=512)
    lines = [
        f"{trained.about}; {len(truth)} curves: {len(trained.images)} images, {', '.join(explainers)}, insertion and "
        "deletion.",
        "",
        "| steps | passes per curve | mean error | 95 % of errors below | equal steps for that error |",
        "|---|---|---|---|---|",
    ]
    reached: list[tuple[float, float]] = []
    for steps in (10, 20, 40, 60, 80, 100):
        found, passes = trained.areas(explainers, steps=steps)
        errors = np.abs(found - truth)
        reached.append((float(errors.mean()), passes))
        lines.append(f"| {steps} | {passes:.1f} | {errors.mean():.4f} | {np.quantile(errors, 0.95):.4f} | |")
    for tolerance in (0.01, 0.005, 0.002, 0.001):
        found, passes = trained.areas(explainers, tolerance=tolerance)
        errors = np.abs(found - truth)
        equal = float(np.exp(np.interp(-np.log(errors.mean()), *np.log([[1 / e, p] for e, p in reached]).T)))
        beyond = "more than " if errors.mean() < min(reached)[0] else ""
        line = f"| adaptive, tolerance {tolerance} | {passes:.1f} | {errors.mean():.4f} "
        line += f"| {np.quantile(errors, 0.95):.4f} | {beyond}{equal:.0f}, {equal / passes:.1f} times as many |"
        lines.append(line)
    return lines


def together(rounds: int, count: int, weights: Path) -> list[str]:
    """RISE's procedure at equal steps and ours, adaptive and compiled, at about the same error."""
    trained = of_scenes(count, weights)
    maps = create("grad-cam", trained.network)(trained.images)
    targets = trained.network(trained.images).argmax(1).tolist()
    given = {"given": lambda batch, _: maps[_rows(batch, trained.images)]}
    truth, _ = trained.areas(given, steps=512)
    fast = of_scenes(count, weights, **SETTINGS["auto, compiled"])

    def theirs(steps: int) -> np.ndarray:
        images = zip(trained.images, maps, targets, strict=True)
        return np.array([rise_procedure(trained.network, *each, steps) for each in images]).T.flatten()

    def ours(**options: Any) -> np.ndarray:
        return fast.areas(given, **options)[0]

    procedures: dict[str, Callable[[], np.ndarray]] = {
        f"RISE's procedure, {steps} equal steps": partial(theirs, steps) for steps in (64, 98)
    }
    procedures |= {f"ours, auto, compiled, tolerance {each}": partial(ours, tolerance=each) for each in (0.004, 0.002)}
    times: dict[str, list[float]] = {name: [] for name in procedures}
    errors: dict[str, float] = {}
    in_order = _by_metric(truth, count)
    for turn in range(rounds + 1):
        for name, call in procedures.items():
            kept: list[np.ndarray] = []
            took = clock(lambda call=call, kept=kept: kept.append(call()))
            found = kept[0] if name.startswith("RISE") else _by_metric(kept[0], count)
            errors[name] = float(np.abs(found - in_order).mean())
            if turn:
                times[name].append(took / count)
    middle = {name: statistics.median(each) for name, each in times.items()}
    base = next(iter(middle.values()))
    lines = ["| procedure | seconds per map | mean error of an area | times faster |", "|---|---|---|---|"]
    return lines + [f"| {n} | {took:.3f} | {errors[n]:.4f} | {base / took:.1f} |" for n, took in middle.items()]


def _rows(batch: Tensor, images: Tensor) -> list[int]:
    """Which of the images a batch has."""
    return [next(row for row, other in enumerate(images) if torch.equal(image, other)) for image in batch]


def _by_metric(values: np.ndarray, count: int) -> np.ndarray:
    """Insertion of all images, then deletion, of values that come in chunks of eight images."""
    chunks = np.split(values, range(16, 2 * count, 16))
    return np.concatenate([np.split(chunk, 2)[which] for which in (0, 1) for chunk in chunks])


def machine() -> str:
    where = torch.cuda.get_device_name() if DEVICE == "cuda" else f"{torch.get_num_threads()} threads"
    return f"torch {torch.__version__}, torchvision {torchvision.__version__}, {where} of {platform.machine()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--part", action="append", choices=PARTS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=56, help="of the adaptive part")
    parser.add_argument("--scenes", type=Path, help="weights that benchmarks/scenes.py made")
    parser.add_argument("--scored", type=int, nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.scored:
        print(*scored(*options.scored))
        return
    parts: dict[str, tuple[str, Callable[[], list[str]]]] = {
        "overhead": (
            "resnet18 at 224 × 224: insertion, deletion and PID with patches of 1 to 128 pixels. A single map pays for "
            "the rest of the batch that its unperturbed pass goes through in.",
            lambda: overhead(options.rounds),
        ),
        "peers": (
            f"resnet18 at 224 × 224: insertion and deletion at {STEPS} steps into zero, the same maps for everybody.",
            lambda: peers(options.rounds),
        ),
        "road": ("resnet18 at 224 × 224, 10 to 90 percent, both orders.", lambda: road(max(2, options.rounds // 2))),
        "growth": ("A small network on images of 224 × 224, each in a process of its own.", growth),
        "adaptive": ("Errors of areas against 512 equal steps.", lambda: adaptive(options.images, options.scenes)),
        "together": (
            "resnet18 trained on scenes of photographs of 224 × 224, insertion and deletion of Grad-CAM's maps into "
            "zero; errors against 512 equal steps.",
            lambda: together(max(2, options.rounds // 2), 16, options.scenes),
        ),
    }
    text = ["# Evaluation", "", f"{machine()}. resnet18 has random weights where nothing else is said.", ""]
    for name in options.part or PARTS:
        if name == "together" and options.scenes is None:
            continue
        about, measure = parts[name]
        part = [f"## {name.capitalize()}", "", about, "", *measure(), ""]
        print("\n".join(part), flush=True)
        text += part
    if options.out:
        options.out.write_text("\n".join(text))


if __name__ == "__main__":
    main()
