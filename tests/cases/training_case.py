"""What the tests of `explain train` and of what it leaves share."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from pathlib import Path

import numpy as np

from explainers.baselines import CrossEntropy
from explainers.data.images import write_image
from explainers.data.sets import data_set

DATA = "magnetogram:size=32,train=48,val=16,test=16"
TINY = ["--batch-size", "16", "--device", "cpu"]
FILES = {"run.json", "last.safetensors", "best.safetensors", "log.csv", "result.json"}
HEADS = (CrossEntropy(), CrossEntropy("attention_logits"))


def command(out, *more, network="abn", data=DATA):
    return ["train", network, "--data", data, "--out", str(out), *TINY, "--no-report", *more]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def identity(data: str) -> dict[str, object]:
    """What run.json tells of generated data, written out again."""
    found = data_set(data)
    digest = hashlib.sha256()
    for name in ("train", "val", "test"):
        split = getattr(found, name)
        for image, label in zip(split.names, split.labels, strict=True) if split else ():
            digest.update(f"{name} {image} {label}\n".encode())
    counts = {name: len(getattr(found, name) or ()) for name in ("train", "val", "test")}
    return {"spec": data, **counts, "sha256": digest.hexdigest()}


def image_folders(out: Path) -> list[Path]:
    """The folders of images that evaluations wrote, one for each choice of them."""
    return [path for path in (out / "test").iterdir() if path.is_dir()]


def images_of(out: Path) -> Path:
    """Where an evaluation wrote its images: one folder for one choice of them."""
    (folder,) = image_folders(out)
    assert re.fullmatch("[0-9a-f]{8}", folder.name)
    return folder


def taken(split, count, label=None) -> list[str]:
    """Names of the images that an evaluation takes: the slow way, one image after the other, as they are taken."""
    left = {
        own: sorted(
            (name for name, each in zip(split.names, split.labels, strict=True) if each == own),
            key=lambda name: hashlib.sha256(name.encode()).hexdigest(),
        )
        for own in sorted(set(split.labels))
        if label in (None, own)
    }
    order = []
    while any(left.values()):
        order += [names.pop(0) for names in left.values() if names]
    return order[:count]


def ended(run: Path) -> str:
    """What is noted of a training that was over before."""
    return f"explain: note: the training in {run} has ended before; these are its results unless it has more epochs\n"


def config(run: Path):
    return json.loads((run / "run.json").read_text())


def outcome(balanced=0.9, **changes):
    """A result.json that nobody trained for."""
    scores = {"loss": 0.5, "accuracy": 0.9, "balanced_accuracy": balanced}
    return {"best_epoch": 1, "epochs": 1, "stopped_early": False, "seconds": 1.0, "val": scores, **changes}


def class_folders(root: Path) -> Path:
    """Eight images each to train on, to choose by and to test with."""
    split = data_set(DATA).train
    for part in ("train", "val", "test"):
        for index in range(8):
            write_image(root / part / str(split.labels[index]) / f"{index}.png", split.pixels(index))
    return root


def three_classes(root: Path) -> Path:
    """Two images of each of three classes for each split."""
    for part in ("train", "val", "test"):
        for index in range(6):
            write_image(root / part / "abc"[index % 3] / f"{index}.png", np.full((16, 16, 3), 40 * index, np.uint8))
    return root
