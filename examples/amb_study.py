"""Does attention mining, with or without its two helpers, make attention maps better? Trains, scores, compares.

    python examples/amb_study.py                                     # three seeds
    python examples/amb_study.py --seeds 0 --epochs 8 --images 20   # a first look, some minutes

The networks of the attention mining study (Iwayoshi 2021) and GAIN (Li et al. 2018) on generated birds, whose beak and
tail decide. Start the same command again after an interruption and it goes on: trainings where they were, and what is
trained and scored leaves one small file for each row and seed in --results. Several such commands with other --seeds
may run side by side. The tables are made of all files that are there, by whichever command ends last.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from amb_report import SCORES, write_report
from study import batches

import explainers
from explainers.baselines import (
    AdamW,
    Cosine,
    CrossEntropy,
    HumanKnowledge,
    Loss,
    Settings,
    Throughout,
    amb_losses,
    read_run,
    train,
)
from explainers.data.data_set import DataSet, Split
from explainers.data.sets import data_set
from explainers.storage.atomic import write_json

BRANCHES = (CrossEntropy(), CrossEntropy("attention_logits"))
SHOWN = 6  # images of the sheet of maps
DECIMALS = 5


@dataclass(frozen=True)
class Row:
    """A line of the table, or what others start from: a network and what it is trained on.

    losses: None for the network's own recipe; start: whose training this one goes on from, at half the rate; frozen:
    parts that stay as they are; epochs: in units of --epochs.
    """

    network: str
    losses: tuple[Loss, ...] | None = None
    start: str | None = None
    frozen: tuple[str, ...] = ()
    epochs: float = 0.5
    options: dict[str, Any] = field(default_factory=dict)


BEGUN = {"pretrained": Row("abn", epochs=1, options={"bypass": False})}
ROWS = {
    "abn": Row("abn", epochs=1.5),
    "longer": Row("abn", BRANCHES, "abn", ("features",)),
    "human": Row("abn", (*BRANCHES, HumanKnowledge()), "abn", ("features",)),
    "no-bypass": Row("amb", BRANCHES, "pretrained"),
    "amb": Row("amb", amb_losses(prototypes=False, complement=False), "pretrained"),
    "pc": Row("amb", amb_losses(complement=False), "pretrained"),
    "cot": Row("amb", amb_losses(prototypes=False), "pretrained"),
    "pc-cot": Row("amb", amb_losses(), "pretrained"),
    "gain": Row("gain", epochs=1.5),
}


class Kept(Split):
    """Images and masks of a split, made once."""

    def __init__(self, split: Split) -> None:
        self.names, self.labels, self.mask_names = split.names, split.labels, split.mask_names
        self._split = split
        self._made: dict[tuple[int, str], Any] = {}

    def pixels(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        return self._once(index, "pixels", self._split.pixels)

    def mask(self, index: int) -> np.ndarray:
        """(H, W) bool."""
        return self._once(index, "mask", self._split.mask)

    def named_mask(self, index: int, name: str) -> np.ndarray | None:
        """(H, W) bool, the bird or its deciding parts."""
        return self._split.named_mask(index, name)

    def _once(self, index: int, what: str, make: Callable[[int], Any]) -> Any:
        if (index, what) not in self._made:
            self._made[index, what] = make(index)
        return self._made[index, what]


@dataclass
class Study:
    """One command's share of the study. options: as typed; data: generated birds."""

    options: argparse.Namespace
    data: DataSet = field(init=False)

    def __post_init__(self) -> None:
        sizes = {name: getattr(self.options, name) for name in ("size", "classes", "train", "val", "test")}
        made = data_set("birds:" + ",".join(f"{name}={value}" for name, value in sizes.items()))
        splits = {name: Kept(getattr(made, name)) for name in ("train", "val", "test")}
        self.data = DataSet(made.spec, made.class_names, made.preprocessing, **splits, masks=True)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What two results must have in common to stand in one table."""
        names = ("size", "classes", "train", "val", "test", "epochs", "precision", "images")
        return {name: getattr(self.options, name) for name in names}

    def go(self) -> None:
        """Every row and seed that is left."""
        for seed in self.options.seeds:
            for name in self.options.rows:
                path = self.options.results / f"{name}-{seed}.json"
                if path.is_file():
                    known = json.loads(path.read_text())["study"]
                    if known != self.facts:
                        raise SystemExit(f"{path} is of a study with {known}, not {self.facts}; choose other --results")
                    continue
                write_json(path, self.result(name, seed))
                print(f"{name:<9} seed {seed}: {path}", flush=True)

    def result(self, name: str, seed: int) -> dict[str, Any]:
        """Train and score one row with one seed."""
        folder, edited = self.trained(name, seed)
        run = read_run(folder)
        loaded = explainers.load_model(folder, device="cpu")
        found = self.scored(loaded)
        scores = [score.format(patch=self.options.size // 8) for score in SCORES]
        values = {score: self.in_order(found.values(score)) for score in scores if score in found.scores}
        controls = {
            score: {title: float(np.mean([*images.values()])) for title, images in found.values(score).items()}
            for score in values
        }
        return {
            "row": name,
            "seed": seed,
            "study": self.facts,
            "test": {
                key: run.result["test"][key] for key in ("accuracy", "top5_accuracy") if key in run.result["test"]
            },
            "epochs": run.result["epochs"],
            "best_epoch": run.result["best_epoch"],
            "seconds": run.result["seconds"],
            "edited": edited,
            "versions": {"torch": torch.__version__, "threads": torch.get_num_threads()},
            "values": values,
            "means_with_controls": controls,
            "maps": self.maps(loaded),
        }

    def trained(self, name: str, seed: int) -> tuple[Path, int | None]:
        """The folder of a training, done now or before, and how many maps were edited for it."""
        row, out = {**BEGUN, **ROWS}[name], self.options.out / "runs" / f"{name}-{seed}"
        settings = Settings(
            losses=row.losses,
            optimizer=AdamW(lr=1e-3 if row.start is None else 5e-4, weight_decay=0.01),
            schedule=Cosine(),
            plan=Throughout(frozen=row.frozen) if row.frozen else None,
            epochs=max(1, int(row.epochs * self.options.epochs)),
            augment=("flip",),
            precision=self.options.precision,
            seed=seed,
        )
        more: dict[str, Any] = {}
        if row.start is not None:
            more["start"], _ = self.trained(row.start, seed)
        misread: set[int] | None = None
        if name == "human":
            misread = self.misread(more["start"])
            if not misread:
                raise SystemExit(f"{more['start']} misreads no training image, so no map is edited: train it less")
            more["given"] = {"edited": lambda index: self.edited(index) if index in misread else None}
        run = train(row.network, self.data, out, settings, options=row.options, device="cpu", **more)
        return run.folder, None if misread is None else len(misread)

    def misread(self, folder: Path) -> set[int]:
        """Training images that a trained network takes for another class."""
        loaded, split = explainers.load_model(folder, device="cpu"), self.data.train
        found: set[int] = set()
        for start in range(0, len(split), 64):
            rows = range(start, min(start + 64, len(split)))
            with torch.no_grad():
                scores = loaded(torch.stack([self.data.preprocessing(split.pixels(row)) for row in rows]))
            found |= {
                row for row, best in zip(rows, scores.argmax(1).tolist(), strict=True) if best != split.labels[row]
            }
        return found

    def edited(self, index: int) -> Any:
        """What a person would paint: the bird, and nothing else."""
        return self.data.preprocessing.fitted(self.data.train.mask(index), nearest=True)

    def scored(self, loaded: Any) -> explainers.Result:
        """The network's own map by every metric; removed pixels have the mean colour."""
        create = explainers.create_metric
        metrics = {
            "threshold-insertion": create("threshold-insertion", baseline="zero"),
            "threshold-deletion": create("threshold-deletion", baseline="zero"),
            "insertion": create("insertion", baseline="zero", tolerance=0.01),
            "deletion": create("deletion", baseline="zero", tolerance=0.01),
            "pid": create("pid", patch=(1, self.options.size // 8), baseline="zero", tolerance=0.01),
            "miou": create("miou"),
        }
        chosen = range(self.options.images)
        return explainers.evaluate(
            loaded, batches(self.data, chosen), {"attention": "attention"}, metrics, "label", figures=False
        )

    def in_order(self, values: Mapping[str, Mapping[str, float]]) -> list[float | None]:
        """A value of each scored image; None for those whose map has no score."""
        assert self.data.test is not None
        own = values["attention"]
        return [
            None if name not in own else round(own[name], DECIMALS)
            for name in self.data.test.names[: self.options.images]
        ]

    def maps(self, loaded: Any) -> list[list[list[float]]]:
        """The network's own maps of the first test images, in their own size."""
        (batch,) = batches(self.data, range(SHOWN))
        network = loaded.network.eval()
        with torch.no_grad():
            made = network.forward_branches(batch["images"]).attention_map
        return [[[round(value, 3) for value in line] for line in one] for one in made[:, 0].tolist()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("amb-study"), help="of the trainings (default %(default)s)")
    parser.add_argument("--results", type=Path, help="of one file for each row and seed (default OUT/results)")
    parser.add_argument("--report", type=Path, help="of table and maps (default OUT)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="default 0 1 2")
    parser.add_argument("--rows", nargs="+", choices=tuple(ROWS), default=tuple(ROWS), help="all by default")
    parser.add_argument("--size", type=int, default=64, help="side of the images (default %(default)s)")
    parser.add_argument("--classes", type=int, default=20, help="kinds of birds (default %(default)s)")
    parser.add_argument("--train", type=int, default=800, help="training images (default %(default)s)")
    parser.add_argument("--val", type=int, default=300, help="default %(default)s")
    parser.add_argument("--test", type=int, default=500, help="images of top-1 and top-5 (default %(default)s)")
    parser.add_argument("--epochs", type=int, default=20, help="default %(default)s")
    parser.add_argument("--precision", default="bfloat16", help="of training (default %(default)s)")
    parser.add_argument("--images", type=int, default=60, help="test images that are scored (default %(default)s)")
    options = parser.parse_args()
    options.results = options.results or options.out / "results"
    options.results.mkdir(parents=True, exist_ok=True)
    study = Study(options)
    study.go()
    write_report(options.results, options.report or options.out, study.data)


if __name__ == "__main__":
    main()
