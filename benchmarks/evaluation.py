"""What an evaluation costs beside the bare passes and beside other packages, and what adaptive steps save.

    pip install ".[dev]" && python benchmarks/evaluation.py --out benchmarks/evaluation.md

Eight parts: overhead, memory, ceiling, peers, road, growth, adaptive, together; `--part` runs one of them. `--scenes`
names the weights that `benchmarks/scenes.py` makes; without them the last part is left out. About 45 minutes on two
quiet cores.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
import warnings
from collections.abc import Callable
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
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchcam.methods import GradCAM as TheirGradCAM
from torchcam.metrics import DeletionInsertionMetric
from trained import FASTEST, GRIDS, adaptive, rise_procedure, together
from turns import DEVICE, Procedures, Turns, clock, take_turns

from explainers import Predictor, create_metric, keep_freed_memory
from explainers.evaluation.engine import Engine
from explainers.evaluation.measuring.batch import Batch

warnings.filterwarnings("ignore")
PARTS = ("overhead", "memory", "ceiling", "peers", "road", "growth", "adaptive", "together")
STEPS = 32  # divides 224 × 224, so that everybody looks at the same steps
SIDE = 224
SETTINGS: dict[str, dict[str, Any]] = {
    "float32": {},
    "auto": {"precision": "auto"},
    "auto, compiled": FASTEST,
}


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


def ceiling(rounds: int) -> list[str]:
    """How near the bare passes come to what the machine computes at best, a product of large matrices."""
    lines = ["| | float32 | auto, compiled |", "|---|---|---|"]
    batch = torch.randn(16, 3, SIDE, SIDE, device=DEVICE).contiguous(memory_format=torch.channels_last)
    with FlopCounterMode(display=False) as counter:
        network()(batch)
    products, passes = [], []
    for options in (SETTINGS["float32"], SETTINGS["auto, compiled"]):
        replica = Predictor(network(), **options).replica
        fast = replica.ready(batch, lambda run, images: run(images))
        factors = torch.randn(2, 4096, 4096, device=DEVICE).to(replica.precision or torch.float32)
        with torch.inference_mode():
            fast(batch), fast(batch)
            alone = [clock(partial(fast, batch)) for _ in range(8 * rounds)]
            best = [clock(partial(torch.matmul, *factors)) for _ in range(4 * rounds)]
        passes.append(counter.get_total_flops() / statistics.median(alone) / 1e9)
        products.append(2 * 4096**3 / min(best) / 1e9)
    lines.append(f"| product of matrices of 4096 × 4096, GFLOP/s | {products[0]:.0f} | {products[1]:.0f} |")
    lines.append(f"| bare passes of resnet18, GFLOP/s | {passes[0]:.0f} | {passes[1]:.0f} |")
    return lines


def bare_passes(side: str) -> Procedures:
    """64 images through ResNets, in batches of several sizes."""
    made: Procedures = {}
    for name, setting, size in product(("resnet18", "resnet50"), ("float32", "auto"), (8, 16, 32)):
        torch.manual_seed(0)
        model = torchvision.models.get_model(name, weights=None).eval().to(DEVICE)
        batch = torch.randn(size, 3, SIDE, SIDE, device=DEVICE).contiguous(memory_format=torch.channels_last)
        fast = Predictor(model, **SETTINGS[setting]).replica.ready(batch, lambda run, images: run(images))

        def procedure(fast: Any = fast, batch: Tensor = batch) -> None:
            with torch.inference_mode():
                for _ in range(64 // len(batch)):
                    fast(batch)

        made[f"{side} | {name} | {setting} | {size}"] = procedure
    return made


def memory(rounds: int) -> list[str]:
    """The same passes in a process that gives freed memory back, and in one that keeps it."""
    with Turns(bare_passes, "glibc") as glibc, Turns(bare_passes, "kept", keep=True) as kept:
        seen = {name: 1000 * took / 64 for name, (took, _) in take_turns([glibc, kept], rounds).items()}
    lines = [
        "| network | precision | batch | ms per pass | with freed memory kept | less |",
        "|---|---|---|---|---|---|",
    ]
    for name, before in seen.items():
        side, _, case = name.partition(" | ")
        if side == "glibc":
            now = seen[f"kept | {case}"]
            lines.append(f"| {case} | {before:.2f} | {now:.2f} | {100 * (1 - now / before):.0f} % |")
    return lines


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


def theirs_of_peers(count: int) -> Procedures:
    model, given, maps = network(), images(count), blobs(count)
    flipping = quantus.PixelFlipping(features_in_step=SIDE * SIDE // STEPS, disable_warnings=True)

    def quantus_procedure() -> object:
        array = given.cpu().numpy()
        return flipping(
            model=model, x_batch=array, y_batch=np.zeros(count, int), a_batch=maps[:, None].cpu().numpy(), device=DEVICE
        )

    def rise() -> Tensor:
        areas = [rise_procedure(model, image, map_, 0, STEPS) for image, map_ in zip(given, maps, strict=True)]
        return torch.tensor(areas, dtype=torch.float64).T

    return {
        "RISE's procedure, a pass of one image per step": rise,
        "torch-cam, batches of 32": lambda: torch.stack(torchcam_procedure(model, given, maps)).cpu(),
        "Quantus PixelFlipping, deletion alone": quantus_procedure,
    }


def ours_of_peers(count: int) -> Procedures:
    metrics = [create_metric(name, baseline="zero", steps=STEPS) for name in ("insertion", "deletion")]
    return {
        f"ours, {setting}": Ours(network(), images(count), blobs(count), metrics, **options)
        for setting, options in SETTINGS.items()
    }


def peers(rounds: int, count: int = 8) -> list[str]:
    """Insertion and deletion of the same maps at the same steps, taking turns."""
    with Turns(theirs_of_peers, count) as theirs, Turns(ours_of_peers, count, keep=True) as ours:
        seen = take_turns([theirs, ours], rounds)
    seconds = {name: each / count * (2 if "deletion alone" in name else 1) for name, (each, _) in seen.items()}
    base = min(list(seconds.values())[:2])
    wanted = seen["torch-cam, batches of 32"][1].double()
    lines = [
        "| procedure | seconds per map | times faster than the best of the first two | largest difference of an area |",
        "|---|---|---|---|",
    ]
    for name, (_, found) in seen.items():
        if name.startswith("ours"):
            found = torch.tensor([found["insertion"], found["deletion"]])
        difference = "–" if "alone" in name or "torch-cam" in name else f"{float((found - wanted).abs().max()):.1e}"
        lines.append(f"| {name} | {seconds[name]:.3f} | {base / seconds[name]:.2f} | {difference} |")
    return lines


PERCENT = (10, 20, 30, 40, 50, 60, 70, 80, 90)
ROAD = "pytorch-grad-cam ROADCombined"


def theirs_of_road(count: int) -> Procedures:
    model, given, maps, metric = network(), images(count), blobs(count), ROADCombined(percentiles=list(PERCENT))

    def procedure() -> Any:
        with torch.no_grad():
            return 2 * metric(given, maps.cpu().numpy(), [ClassifierOutputSoftmaxTarget(0)] * count, model)

    return {ROAD: procedure}


def ours_of_road(count: int) -> Procedures:
    metric = create_metric("road", percent=PERCENT)
    return {
        f"ours, {setting}": Ours(network(), images(count), blobs(count), [metric], **options)
        for setting, options in SETTINGS.items()
    }


def road(rounds: int, count: int = 2) -> list[str]:
    """ROAD of the same maps at the same percentages."""
    with Turns(theirs_of_road, count) as theirs, Turns(ours_of_road, count, keep=True) as ours:
        seen = take_turns([theirs, ours], rounds)
    base, wanted = seen[ROAD][0], np.asarray(seen[ROAD][1])
    lines = ["| procedure | seconds per map | times faster | largest difference |", "|---|---|---|---|"]
    for name, (took, values) in seen.items():
        found = np.asarray(values["road"]) if name.startswith("ours") else wanted
        difference = f"{float(np.abs(found - wanted).max()):.1e}" if name.startswith("ours") else "–"
        lines.append(f"| {name} | {took / count:.3f} | {base / took:.2f} | {difference} |")
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
    keep_freed_memory()
    parts: dict[str, tuple[str, Callable[[], list[str]]]] = {
        "overhead": (
            "resnet18 at 224 × 224: insertion, deletion and PID with patches of 1 to 128 pixels. A single map pays for "
            "the rest of the batch that its unperturbed pass goes through in.",
            lambda: overhead(options.rounds),
        ),
        "memory": (
            "Bare passes at 224 × 224 in two processes: glibc as it is, and after `keep_freed_memory()`.",
            lambda: memory(options.rounds),
        ),
        "ceiling": ("What this machine can do.", lambda: ceiling(options.rounds)),
        "peers": (
            f"resnet18 at 224 × 224: insertion and deletion at {STEPS} steps into zero, the same maps for everybody.",
            lambda: peers(options.rounds),
        ),
        "road": ("resnet18 at 224 × 224, 10 to 90 percent, both orders.", lambda: road(max(2, options.rounds // 2))),
        "growth": ("A small network on images of 224 × 224, each in a process of its own.", growth),
        "adaptive": ("Errors of areas against 512 equal steps.", lambda: adaptive(options.images, options.scenes)),
        "together": (
            "resnet18 trained on scenes of photographs of 224 × 224, insertion and deletion into zero of maps of "
            "grad-cam and guided-backprop; errors against 512 equal steps. Equal steps: the fewest of "
            f"{', '.join(map(str, GRIDS))} with no larger an error.",
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
