"""Do heat maps survive training far past the early stopping point? Trains, compares every checkpoint, answers.

    python examples/overtraining_study.py --data folder:CIFAR10      # some hours on two cores
    python examples/overtraining_study.py --data cifar10:PATH --width 64 --train 45000 --epochs 2000    # on a GPU

The over-training study trained a ResNet-18 on CIFAR-10 by momentum SGD, without weight decay, for 2,000 epochs, with or
without augmentation (random crop and flip), and compared maps of later checkpoints with those of the early-stopped
network. This does the same with a network as wide, images as many and epochs as long as asked for, from several seeds,
and with SmoothGrad, RISE and a self-explaining network (ABN) beside the study's methods. Start the same command again
after an interruption and it goes on. It writes `study.md`, a figure, the measured values of each kind of training as
JSON and a folder of pictures for each training into --out; what the images are (CIFAR-10, or a copy coded anew) is for
whoever quotes the numbers to say. A study that takes several sittings brings the JSON files along: `--known FOLDER`
takes what was measured with the same settings from there, and `--only` trains some of the networks.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from overtraining_report import Measured, draw, measured, page

import explainers
from explainers.baselines import SGD, Flip, Milestones, Settings, Shift, train
from explainers.data.data_set import DataSet, Split
from explainers.data.sets import data_set
from explainers.data.sets.cifar10 import PREPROCESSING
from explainers.data.sets.export import in_turn
from explainers.evaluation import Drift, DriftOptions
from explainers.evaluation.drifting.drift import Lineup
from explainers.run.drift.checkpoints import of_models, of_training, reference_name
from explainers.run.drift.comparison import Pictures, compare_in_folder
from explainers.run.drift.photos import photos
from explainers.storage.atomic import write_bytes

STEPS = (81, 122, 164)  # epochs at which the study divides the learning rate by ten
METHODS = {
    "saliency": "saliency",
    "deconvolution": "deconvolution",
    "guided-backprop": "guided-backprop",
    "guided-backprop-minus": "guided-backprop-minus",
    "grad-cam": "grad-cam",
    "guided-grad-cam": "guided-grad-cam",
    "smooth-grad": "smooth-grad",
}
OWN = {"attention": "attention"}  # what a network that explains itself shows
ONLY = ("plain", "plain-with-augmentation", "plain-without-augmentation", "abn")
SETTINGS = (
    "width",
    "size",
    "train",
    "val",
    "test",
    "epochs",
    "checkpoints",
    "seeds",
    "batch_size",
    "lr",
    "masks",
    "sanity",
)


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
    def methods(self) -> dict[str, str]:
        """Of the drift, RISE aside, and of the randomisation test."""
        return OWN if self.network == "abn" else METHODS

    @property
    def folder(self) -> str:
        return f"{self.network}-{'augmented' if self.augmented else 'as-is'}-{self.seed}"


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
    methods: dict[str, object] = dict(training.methods)
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


def randomised(options: argparse.Namespace, training: Training) -> dict[str, list[float]]:
    """method → likeness (Spearman) of its maps to those of the same network with redrawn weights, of each image."""
    data = images(options)
    assert data.test is not None
    rows = range(min(options.sanity, len(data.test)))
    loaded = explainers.load_model(options.out / "runs" / training.folder, device=options.device)
    shots = torch.stack([data.preprocessing(data.test.pixels(row)) for row in rows]).to(loaded.device)
    result = explainers.evaluate(
        loaded,
        shots,
        dict(training.methods),
        ["model-randomisation"],
        labels=torch.tensor([data.test.labels[row] for row in rows]),
        out=options.out / "sanity" / training.folder,
        figures=False,
        activation="softmax",
    )
    found = result.values("model-randomisation")
    return {method: list(found[method].values()) for method in training.methods}


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(options, name) for name in SETTINGS}


def kind_of(variant: str) -> str:
    return variant.replace(", ", "-").replace(" ", "-")


def file_of(variant: str) -> str:
    return f"{kind_of(variant)}.json"


def known(options: argparse.Namespace, variant: str) -> Measured | None:
    """What was measured of a kind of training with these settings, here or in an earlier sitting."""
    name = file_of(variant)
    for folder in (options.out, *([options.known] if options.known else ())):
        if (folder / name).is_file():
            stored: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
            if stored["settings"] != settings_of(options):
                raise SystemExit(f"{folder / name} was measured with other settings: {stored['settings']}")
            return stored
    return None


def measure(options: argparse.Namespace, every: Sequence[Training]) -> Measured:
    """The values of one kind of training, from all its seeds."""
    found = [compared(options, each) for each in every]
    sanity = [randomised(options, each) for each in every]
    return {"settings": settings_of(options), "variant": every[0].variant, **measured(found, sanity)}


def at_once(options: argparse.Namespace, work: Any, every: Sequence[Training]) -> None:
    """Work on trainings, so many at once as asked for."""
    if options.jobs == 1:
        for each in every:
            work(options, each)
        return
    with ProcessPoolExecutor(options.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for done in [pool.submit(work, options, each) for each in every]:
            done.result()


def compare(options: argparse.Namespace, training: Training) -> None:
    """`compared`, in a process of its own; what it found lies in its folder."""
    if options.jobs > 1:
        torch.set_num_threads(1)
    compared(options, training)


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
    parser.add_argument(
        "--only", metavar="KIND", choices=ONLY, help=f"train and measure these alone: {', '.join(ONLY)}"
    )
    parser.add_argument("--known", type=Path, metavar="FOLDER", help="JSON files of earlier sittings")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    kinds: dict[str, list[Training]] = {}
    for each in trainings(options):
        kinds.setdefault(each.variant, []).append(each)
    left = [variant for variant in kinds if known(options, variant) is None]
    left = [variant for variant in left if options.only in (None, kinds[variant][0].network, kind_of(variant))]
    at_once(options, fit, [each for each in trainings(options) if each.variant in left])
    at_once(options, compare, [each for variant in left for each in kinds[variant]])
    for variant in left:
        write_bytes(options.out / file_of(variant), json.dumps(measure(options, kinds[variant])).encode())
    results = [found for found in (known(options, variant) for variant in kinds) if found is not None]
    write_bytes(options.out / "study.md", page(options.data, results).encode())
    draw(options.out / "similarity.png", results)
    print(f"report  {options.out / 'study.md'}")


if __name__ == "__main__":
    main()
