"""What an evaluation costs beside the bare passes and beside other packages, and what adaptive steps save.

    pip install ".[dev]" && python benchmarks/evaluation.py --out benchmarks/evaluation.md

Seven parts: overhead, ceiling, peers, road, growth, adaptive, together; `--part` runs one of them. `--scenes` names the
weights that `benchmarks/scenes.py` makes; without them the last part is left out. About 45 minutes on two quiet cores.
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
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
from torch.utils.flop_counter import FlopCounterMode
from torchcam.methods import GradCAM as TheirGradCAM
from torchcam.metrics import DeletionInsertionMetric

from explainers import Predictor, create, create_metric, keep_freed_memory, load_model
from explainers.data.digits import digits
from explainers.evaluation.engine import Batch, Engine

warnings.filterwarnings("ignore")
PARTS = ("overhead", "ceiling", "peers", "road", "growth", "adaptive", "together")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
Procedures = dict[str, Callable[[], Any]]
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


class Turns:
    """Procedures in a process of their own, so that each side has the allocator that its users have.

    Args:
        make: gives the procedures by their names; keep: whether the process keeps freed memory, as `explain` does.
    """

    def __init__(self, make: Callable[..., Procedures], *arguments: Any, keep: bool = False) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, make, arguments, keep), daemon=True)

    def __enter__(self) -> Turns:
        self._process.start()
        self.names: list[str] = self._pipe.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()

    def ask(self, name: str) -> tuple[float, Any]:
        """Seconds and the result."""
        self._pipe.send(name)
        took, found = self._pipe.recv()
        return took, found


def _serve(pipe: Any, make: Callable[..., Procedures], arguments: tuple[Any, ...], keep: bool) -> None:
    warnings.filterwarnings("ignore")
    if keep:
        keep_freed_memory()
    procedures = make(*arguments)
    pipe.send(list(procedures))
    while True:
        call, kept = procedures[pipe.recv()], []
        took = clock(lambda call=call, kept=kept: kept.append(call()))  # type: ignore[misc]
        pipe.send((took, kept[0]))


def take_turns(sides: Sequence[Turns], rounds: int) -> dict[str, tuple[float, Any]]:
    """The median time and the last result of every procedure, after one round that does not count."""
    seen: dict[str, list[tuple[float, Any]]] = {}
    for turn in range(rounds + 1):
        for ask, name in [(side.ask, name) for side in sides for name in side.names]:
            found = ask(name)
            if turn:
                seen.setdefault(name, []).append(found)
    return {name: (statistics.median(took for took, _ in each), each[-1][1]) for name, each in seen.items()}


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


def theirs_of_peers(count: int) -> Procedures:
    model, given, maps = network(), images(count), blobs(count)
    flipping = quantus.PixelFlipping(features_in_step=SIDE * SIDE // STEPS, disable_warnings=True)

    def quantus_procedure() -> object:
        array = given.cpu().numpy()
        return flipping(
            model=model, x_batch=array, y_batch=np.zeros(count, int), a_batch=maps[:, None].cpu().numpy(), device=DEVICE
        )

    def rise() -> Tensor:
        areas = [rise_procedure(model, image, map_, 0) for image, map_ in zip(given, maps, strict=True)]
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


def maps_of(trained: Trained) -> Tensor:
    """One map per image, of either explainer in turn."""
    made = [create(name, trained.network)(trained.images) for name in ("grad-cam", "guided-backprop")]
    return torch.stack([made[row % 2][row] for row in range(len(trained.images))])


def theirs_of_together(count: int, weights: Path, steps: Sequence[int]) -> Procedures:
    trained = of_scenes(count, weights)
    targets = trained.network(trained.images).argmax(1).tolist()
    rows = list(zip(trained.images, maps_of(trained), targets, strict=True))

    def procedure(number: int) -> np.ndarray:
        return np.array([rise_procedure(trained.network, *row, number) for row in rows]).T

    return {f"RISE's procedure, {number} equal steps": partial(procedure, number) for number in steps}


def ours_of_together(count: int, weights: Path, steps: Sequence[int], tolerances: Sequence[float]) -> Procedures:
    trained = of_scenes(count, weights, **SETTINGS["auto, compiled"])
    maps = maps_of(trained)

    def given(batch: Tensor, _: Tensor) -> Tensor:
        return torch.stack([maps[next(row for row, x in enumerate(trained.images) if x.equal(y))] for y in batch])

    def procedure(**options: Any) -> np.ndarray:
        chunks = np.split(trained.areas({"given": given}, **options)[0], range(16, 2 * count, 16))
        return np.concatenate([chunk.reshape(2, -1) for chunk in chunks], axis=1)

    exact = {f"steps {number}": partial(procedure, steps=number) for number in steps}
    return exact | {
        f"ours, auto, compiled, tolerance {each}": partial(procedure, tolerance=each) for each in tolerances
    }


GRIDS, TOLERANCES = (16, 24, 32, 40, 48, 52, 56, 60, 64, 80, 96, 112, 128), (0.006, 0.002)


def together(rounds: int, count: int, weights: Path) -> list[str]:
    """RISE's procedure at equal steps, and ours, adaptive and compiled, at no larger an error."""
    with Turns(ours_of_together, count, weights, (*GRIDS, 512), TOLERANCES, keep=True) as ours:
        truth = ours.ask("steps 512")[1]

        def error(areas: np.ndarray) -> float:
            return float(np.abs(areas - truth).mean())

        errors = {number: error(ours.ask(f"steps {number}")[1]) for number in GRIDS}
        ours.names = [name for name in ours.names if name.startswith("ours")]
        wanted = [error(ours.ask(name)[1]) for name in ours.names]
        steps = [min((n for n in GRIDS if errors[n] <= each), default=GRIDS[-1]) for each in wanted]
        with Turns(theirs_of_together, count, weights, steps) as theirs:
            seen = take_turns([theirs, ours], rounds)
    lines = ["| procedure | seconds per map | mean error of an area | times faster |", "|---|---|---|---|"]
    for number, name in zip(steps, ours.names, strict=True):
        their = f"RISE's procedure, {number} equal steps"
        for each in (their, name):
            took, areas = seen[each]
            ratio = seen[their][0] / took
            lines.append(f"| {each} | {took / count:.3f} | {error(areas):.4f} | {ratio:.1f} |")
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
