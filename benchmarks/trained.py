"""Areas under curves on trained networks: what adaptive steps save, alone and together with fast passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scenes import Scenes, as_input, untrained
from torch import Tensor, nn
from turns import DEVICE, Procedures, Turns, take_turns

from explainers import Predictor, create, create_metric, load_model
from explainers.data.generated.digits import digits
from explainers.data.images import find_images, read_image
from explainers.evaluation.engine import Engine
from explainers.evaluation.measuring.batch import Batch

FASTEST = {"precision": "auto", "compile": True}


def rise_procedure(model: nn.Module, image: Tensor, map_: Tensor, target: int, steps: int) -> tuple[float, float]:
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
        before = self.predictor.passes
        found = [row["value"] for row in self.rows(explainers, metrics)]
        return np.array(found), (self.predictor.passes - before) / len(found)

    def rows(self, explainers: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Of all images by these metrics."""
        engine, found = Engine(self.network, dict(explainers), dict(metrics), self.predictor), []
        for first in range(0, len(self.images), 8):
            part = self.images[first : first + 8]
            for unit in engine.run([Batch(tuple(map(str, range(first, first + len(part)))), part)]):
                found += unit.rows or []
        return found

    def explainers(self) -> dict[str, Any]:
        return {name: create(name, self.network) for name in ("grad-cam", "guided-backprop")}


def embedded(count: int) -> Trained:
    loaded = load_model("embedded", device=DEVICE)
    assert loaded.preprocessing is not None
    photos = digits(count, split="test", start=1000)[0].permute(0, 2, 3, 1).numpy()
    batch = torch.stack([loaded.preprocessing(photo) for photo in photos]).to(DEVICE)
    about = "The embedded classifier, digits on photographs of 96 × 96"
    return Trained(about, loaded.network, batch, Predictor(loaded))


def photographs(count: int, folder: Path, **passes: Any) -> Trained:
    """So many photographs of a folder, evenly spread over their sorted names."""
    loaded = load_model("photographs", device=DEVICE)
    assert loaded.preprocessing is not None
    files = find_images(folder)
    chosen = [files[len(files) * number // count] for number in range(count)]
    batch = torch.stack([loaded.preprocessing(read_image(file.path).pixels) for file in chosen]).to(DEVICE)
    about = f"EfficientNet-Lite0 (`photographs`) on {count} of {len(files)} photographs of 224 × 224"
    return Trained(about, loaded.network, batch, Predictor(loaded, **passes))


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
        *([] if weights is None else [of_scenes(count, weights, **FASTEST)]),
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
    trained = of_scenes(count, weights, **FASTEST)
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
