"""A small run for the tests of the folder engine and the command."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import numpy as np

from explainers import load_model
from explainers.data.images import write_image
from explainers.models import LoadedModel
from explainers.storage.lock import locked


def embedded() -> LoadedModel:
    return load_model("embedded", device="cpu")


def folder(root: Path, names: tuple[str, ...] = ("a.png", "sub/b.jpg", "sub/c.png")) -> Path:
    """Images with flat noise of their own, of different sizes."""
    for number, name in enumerate(names):
        pixels = np.random.default_rng(number).integers(0, 255, (40 + 10 * number, 64, 3), np.uint8)
        write_image(root / name, pixels)
    return root


def rows(out):
    with (out / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@contextmanager
def held_elsewhere(folder: Path) -> Iterator[None]:
    """Another thread holds a folder, as another process would."""
    held, leave = Event(), Event()

    def hold() -> None:
        with locked(folder):
            held.set()
            leave.wait()

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(hold)
        held.wait()
        try:
            yield
        finally:
            leave.set()
            done.result()


def command(kind: str, images: Path, out: Path, *more: str) -> list[str]:
    """`explain run` or `explain evaluate` of the digits' network, or of another that `more` names, by a cheap method."""
    method = ["-m", "occlusion", "--option", "occlusion.window=48", "--option", "occlusion.stride=48"]
    metric = ["--metric", "sparseness", "--no-figures"] if kind == "evaluate" else []
    model = [] if "--model" in more else ["--model", "embedded"]
    return [kind, str(images), *model, *method, *metric, "--out", str(out), "-q", "--no-report", *more]
