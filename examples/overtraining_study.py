"""Do heat maps survive training far past the early stopping point? Trains, compares every checkpoint, answers.

    python examples/overtraining_study.py --data folder:CIFAR10      # some hours on two cores
    python examples/overtraining_study.py --data cifar10:PATH --width 64 --train 45000 --epochs 2000    # on a GPU

The over-training study trained a ResNet-18 on CIFAR-10 by momentum SGD, without weight decay, for 2,000 epochs, with or
without augmentation (random crop and flip), and compared maps of later checkpoints with those of the early-stopped
network. This does the same with a network as wide, images as many and epochs as long as asked for, from several seeds,
and with SmoothGrad, RISE and a self-explaining network (ABN) beside the study's methods. Start the same command again
after an interruption and it goes on. It writes `study.md`, `values.csv` and a folder of pictures for each training into
--out; what the images are (CIFAR-10, or a copy coded anew) is for whoever quotes the numbers to say.

Longer than other files, because a study is one script that can be copied.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

import explainers
from explainers.baselines import SGD, Flip, Milestones, Settings, Shift, train
from explainers.data.data_set import DataSet, Split
from explainers.data.sets import data_set
from explainers.data.sets.cifar10 import PREPROCESSING
from explainers.data.sets.export import in_turn
from explainers.evaluation import Drift, DriftOptions
from explainers.evaluation.drifting.drift import Lineup
from explainers.evaluation.intervals import interval_of
from explainers.evaluation.statistics import sign_flip_test
from explainers.run.drift.checkpoints import of_models, of_training, reference_name
from explainers.run.drift.comparison import Pictures, compare_in_folder
from explainers.run.drift.photos import photos
from explainers.storage.atomic import write_bytes

STEPS = (81, 122, 164)  # epochs at which the study divides the learning rate by ten
LATE = 1000  # epochs past which the study finds every likeness below 0.3
SIMILARITIES = ("ssim", "spearman")
METHODS = {
    "saliency": "saliency",
    "deconvolution": "deconvolution",
    "guided-backprop": "guided-backprop",
    "guided-backprop-minus": "guided-backprop-minus",
    "grad-cam": "grad-cam",
    "guided-grad-cam": "guided-grad-cam",
    "smooth-grad": "smooth-grad",
}
RECTIFIED = ("deconvolution", "guided-backprop", "guided-backprop-minus", "guided-grad-cam")


@dataclass(frozen=True)
class Training:
    """One of the networks that are trained. network: "plain" (the study's) or "abn", which explains itself."""

    network: str
    augmented: bool
    seed: int

    @property
    def variant(self) -> str:
        return f"{self.network}, {'with' if self.augmented else 'without'} augmentation"

    @property
    def folder(self) -> str:
        return f"{self.network}-{'augmented' if self.augmented else 'as-is'}-{self.seed}"


Values = dict[int, float]  # of test images, by their places


class Part(Split):
    """Some images of a split."""

    def __init__(self, whole: Split, rows: Sequence[int]) -> None:
        self.whole, self.rows = whole, list(rows)
        self.names = tuple(whole.names[row] for row in self.rows)
        self.labels = tuple(whole.labels[row] for row in self.rows)

    def pixels(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8 of an image."""
        return self.whole.pixels(self.rows[index])


def part(split: Split, count: int) -> Part:
    """So many images, the classes in turn."""
    return Part(split, in_turn(split, None)[:count])


def images(options: argparse.Namespace) -> DataSet:
    """The data set, as many of its images as asked for; a folder's as small as CIFAR-10's, with its colours."""
    data = data_set(options.data)
    if options.data.startswith("folder:"):  # which would be enlarged as photos are
        small = replace(PREPROCESSING, resize=(options.size, options.size), source="the study")
        data = replace(data, preprocessing=small)
    test = data.val if data.test is None else data.test
    return replace(
        data,
        train=part(data.train, options.train),
        val=part(data.val, options.val),
        test=part(test, options.test),
    )


def kept_epochs(epochs: int, count: int) -> tuple[int, ...]:
    """Epochs from 1 to the last, evenly spaced by their logarithms."""
    return tuple(sorted({int(each) for each in np.geomspace(1, epochs, count).round()}))


def trainings(options: argparse.Namespace) -> list[Training]:
    plain = [Training("plain", augmented, seed) for seed in range(options.seeds) for augmented in (True, False)]
    return plain + [Training("abn", True, seed) for seed in range(options.seeds)]


def fit(options: argparse.Namespace, training: Training) -> None:
    """Train one network; one that was trained before is left alone."""
    if options.jobs > 1:
        torch.set_num_threads(1)
    settings = Settings(
        optimizer=SGD(lr=options.lr, momentum=0.9, weight_decay=0.0),
        schedule=Milestones(at=tuple(min(step / options.epochs, 1.0) for step in STEPS)),
        epochs=options.epochs,
        batch_size=options.batch_size,
        augment=(Shift(4), Flip()) if training.augmented else (),
        keep_every=kept_epochs(options.epochs, options.checkpoints),
        seed=training.seed,
    )
    backbone = "cifar-resnet18" if options.width == 64 else f"cifar-resnet18-{options.width}"
    folder = options.out / "runs" / training.folder
    run = train(training.network, images(options), folder, settings, options={"backbone": backbone})
    seconds = f"{run.result['seconds'] / run.result['epochs']:.2f} s an epoch"
    print(f"{training.folder}: best epoch {run.result['best_epoch']} of {run.result['epochs']}, {seconds}", flush=True)


def compared(options: argparse.Namespace, training: Training) -> Drift:
    """Every checkpoint of a training beside its best, with the other seeds' best as chance."""
    folder = options.out / "runs" / training.folder

    def load(spec: str, **more: str) -> explainers.LoadedModel:
        return explainers.load_model(spec, device=options.device, **more)

    networks = of_training(folder, load)
    alike = [each for each in trainings(options) if each.variant == training.variant and each != training]
    others = of_models([str(options.out / "runs" / each.folder) for each in alike], load)
    methods: dict[str, object] = {"attention": "attention"} if training.network == "abn" else dict(METHODS)
    if training.network == "plain":
        methods["rise"] = ("rise", {"masks": options.masks, "precision": "auto"})
    out = options.out / "drift" / training.folder
    chosen = photos(options.data, out, count=options.test, class_names=images(options).class_names)
    return compare_in_folder(
        Lineup(networks, reference_name("best", networks), others),
        chosen,
        methods,
        out,
        options=DriftOptions(explained="groups", batch_size=32, activation="softmax"),
        pictures=Pictures(not options.no_figures, film=3),
    )


def randomised(options: argparse.Namespace, training: Training) -> dict[str, tuple[str, float]]:
    """method → likeness of its maps to those of the same network with redrawn weights, as text and as a number."""
    data = images(options)
    assert data.test is not None
    rows = range(min(options.sanity, len(data.test)))
    loaded = explainers.load_model(options.out / "runs" / training.folder, device=options.device)
    shots = torch.stack([data.preprocessing(data.test.pixels(row)) for row in rows]).to(loaded.device)
    result = explainers.evaluate(
        loaded,
        shots,
        dict(METHODS),
        ["model-randomisation"],
        labels=torch.tensor([data.test.labels[row] for row in rows]),
        out=options.out / "sanity" / training.folder,
        figures=False,
        activation="softmax",
    )
    found = result.values("model-randomisation")
    return {method: (text(list(values.values())), mean(list(values.values()))) for method, values in found.items()}


def mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def text(values: Sequence[float] | np.ndarray) -> str:
    """Mean with a 95 % interval over images."""
    known = np.asarray(values, float)
    known = known[~np.isnan(known)]
    if len(known) < 2:
        return "–"
    low, high = interval_of(known) or (np.nan, np.nan)
    return f"{known.mean():.3f} [{low:.3f}, {high:.3f}]"


def after(found: Drift, epoch: float | None = None) -> list[str]:
    """Checkpoints behind the reference, or behind an epoch."""
    start = found.compared[found.reference].epoch if epoch is None else epoch
    return [name for name in found.checkpoints if (found.compared[name].epoch or 0) > (start or 0)]


def over_checkpoints(found: Drift, names: Sequence[str], method: str, similarity: str, group: str) -> Values:
    """Mean likeness of each image of a group over checkpoints."""
    if not names:
        return {}
    values = np.stack([found.likeness[name, method][similarity] for name in names]).mean(axis=0)
    return {int(found.explained[place]): float(values[place]) for place in found.places(group)}


def swings(found: Drift, names: Sequence[str], group: str) -> Values:
    """How much the probability of the true class of each image moves from checkpoint to checkpoint."""
    if len(names) < 2 or group not in found.groups:
        return {}
    values = np.stack([found.said[name]["probability"] for name in names])
    moved = np.abs(np.diff(values, axis=0)).mean(axis=0)
    return {int(row): float(moved[row]) for row in found.groups[group]}


def joined(parts: Sequence[Values]) -> np.ndarray:
    """(n,) values of the images, of each the mean over the seeds that have it: seeds share their test images."""
    rows = sorted({row for part in parts for row in part})
    return np.array([np.nanmean([part.get(row, np.nan) for part in parts]) for row in rows])


def accuracy_and_loss(results: dict[str, list[Drift]]) -> list[str]:
    lines = ["| training | error at the best epoch | at the last | loss at the best | at the last | p of the loss |"]
    lines.append("|---|---|---|---|---|---|")
    for variant, seeds in results.items():
        cells = []
        for key in ("error", "loss"):
            for last in (False, True):
                cells.append(
                    joined([said(found, found.checkpoints[-1] if last else found.reference, key) for found in seeds])
                )
        p = sign_flip_test(cells[3], cells[2])
        lines.append(f"| {variant} | " + " | ".join(text(each) for each in cells) + f" | {p:.2g} |")
    return lines


def said(found: Drift, name: str, key: str) -> Values:
    """The loss, or whether the prediction is wrong, of every test image."""
    values = found.said[name]
    assert found.labels is not None
    each = values["loss"] if key == "loss" else (values["predicted"] != found.labels).astype(float)
    return dict(enumerate(each.tolist()))


def steadiness(results: dict[str, list[Drift]]) -> list[str]:
    lines = ["| training | A | B | C |", "|---|---|---|---|"]
    for variant, seeds in results.items():
        cells = [text(joined([swings(found, after(found), group) for found in seeds])) for group in "ABC"]
        lines.append(f"| {variant} | " + " | ".join(cells) + " |")
    return lines


def likenesses(results: dict[str, list[Drift]], similarity: str) -> list[str]:
    head = [
        "past the best epoch",
        *(f"group {group}" for group in "ABC"),
        f"past {LATE} epochs",
        "another training seed",
    ]
    lines = [f"| training | method | {' | '.join(head)} | random maps |", "|---|---|" + "---|" * (len(head) + 1)]
    for variant, seeds in results.items():
        for method in seeds[0].methods:
            cells = [
                text(joined([over_checkpoints(found, after(found), method, similarity, group) for found in seeds]))
                for group in ("all", *(group for group in "ABC" if all(group in found.groups for found in seeds)))
            ]
            cells += ["–"] * (4 - len(cells))
            late = [over_checkpoints(found, after(found, LATE), method, similarity, "all") for found in seeds]
            rivals = [
                over_checkpoints(found, found.of_kind(kind), method, similarity, "all")
                for kind in ("network seed",)
                for found in seeds
            ]
            noise = [
                over_checkpoints(found, found.of_kind("random maps"), method, similarity, "all") for found in seeds
            ]
            cells += [text(joined(late)), text(joined(rivals)), text(joined(noise))]
            lines.append(f"| {variant} | {method} | " + " | ".join(cells) + " |")
    return lines


def report(options: argparse.Namespace, results: dict[str, list[Drift]], sanity: dict[str, tuple[str, float]]) -> str:
    """The study's questions, each with its numbers."""
    some = next(iter(results.values()))[0]
    lines = [
        f"Measured on {options.data}: {options.train} training images, {len(some.names)} test images, "
        f"ResNet-18 of width {options.width}, {options.epochs} epochs, {options.seeds} seeds; maps of "
        f"{len(some.explained)} images of each seed (groups A, B, C). […] 95 % interval over images, of each the mean "
        "over seeds.",
        "",
        "## Does accuracy keep rising while the test loss rises?",
        "",
        *accuracy_and_loss(results),
        "",
        "## Is group A steady while B and C oscillate?",
        "",
        "Mean absolute change of the true class's probability from checkpoint to checkpoint, past the best epoch.",
        "",
        *steadiness(results),
    ]
    for similarity in SIMILARITIES:
        lines += ["", f"## How alike are maps to those of the best epoch, by {similarity}?", ""]
        lines.append(f"The study has at most 0.4 in over-training and 0.3 past {LATE} epochs; saliency's Spearman 0.1.")
        lines += ["", *likenesses(results, similarity)]
    lines += ["", "## Are rectified methods steady because they ignore the weights?", ""]
    lines += ["Likeness (Spearman) of maps to those of the same network with redrawn weights.", ""]
    lines += ["| method | likeness | rectified |", "|---|---|---|"]
    lines += [f"| {method} | {cell} | {'yes' if method in RECTIFIED else ''} |" for method, (cell, _) in sanity.items()]
    return "\n".join(lines) + "\n"


def write_values(path: Path, results: dict[str, list[Drift]]) -> None:
    """Every mean: training, seed, checkpoint, method, group, similarity."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        columns = ("checkpoint", "kind", "epoch", "method", "group", "similarity", "value", "low", "high", "images")
        writer.writerow(("training", "seed", *columns, "verdict"))
        for variant, seeds in results.items():
            for seed, found in enumerate(seeds):
                for row in found.summary().rows():
                    writer.writerow((variant, seed, *(row[column] for column in columns), row["verdict"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True, metavar="SPEC", help="folder:PATH (class folders) or cifar10:PATH")
    parser.add_argument("--out", type=Path, default=Path("overtraining-study"))
    parser.add_argument("--width", type=int, default=8, choices=(8, 16, 32, 64), help="channels of the first stage")
    parser.add_argument("--size", type=int, default=32, help="pixels of the images of folder: (default %(default)s)")
    parser.add_argument("--train", type=int, default=2000, help="training images (default %(default)s)")
    parser.add_argument("--val", type=int, default=500, help="validation images (default %(default)s)")
    parser.add_argument("--test", type=int, default=2000, help="test images (default %(default)s)")
    parser.add_argument("--epochs", type=int, default=1000, help="default %(default)s")
    parser.add_argument("--checkpoints", type=int, default=24, help="kept of each training (default %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each network (default %(default)s)")
    parser.add_argument("--batch-size", type=int, default=256, help="default %(default)s")
    parser.add_argument("--lr", type=float, default=0.1, help="default %(default)s")
    parser.add_argument("--masks", type=int, default=500, help="of RISE (default %(default)s)")
    parser.add_argument("--sanity", type=int, default=64, help="images of the randomisation test (default %(default)s)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--no-figures", action="store_true", help="tables alone")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at once, a core each (default %(default)s)")
    options = parser.parse_args()
    every = trainings(options)
    if options.jobs > 1:
        with ProcessPoolExecutor(options.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
            for done in [pool.submit(fit, options, each) for each in every]:
                done.result()
    else:
        for each in every:
            fit(options, each)
    results: dict[str, list[Drift]] = {}
    for each in every:
        results.setdefault(each.variant, []).append(compared(options, each))
    sanity = randomised(options, every[0])
    write_bytes(options.out / "study.md", report(options, results, sanity).encode())
    write_values(options.out / "values.csv", results)
    print(f"report  {options.out / 'study.md'}")


if __name__ == "__main__":
    main()
