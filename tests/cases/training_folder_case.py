"""Folders of trainings that nobody trained, and how their configurations differ."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

from explainers.baselines.training.run_folder import (
    BEST,
    EPOCHS,
    FORMAT,
    LAST,
    LOG,
    RESULT,
    open_run,
)

CONFIGURATION = {
    "format": FORMAT,
    "network": {"name": "plain", "channels": 1, "classes": 2, "options": {}, "weights": None},
    "data": {"spec": "magnetogram:size=32", "train": 48, "val": 16, "test": 0, "sha256": "0f"},
    "class_names": ["no-flare", "flare"],
    "preprocessing": {"channels": 1, "mean": [0.5], "std": [0.1]},
    "settings": {
        "losses": [{"kind": "CrossEntropy", "weight": 1.0}],
        "optimizer": {"kind": "AdamW", "lr": 0.001, "betas": [0.9, 0.999], "parts": {}},
        "epochs": 30,
        "patience": None,
    },
    "versions": {"torch": "2.0", "python": "3.10"},
}


def changed(*path, value):
    config = deepcopy(CONFIGURATION)
    place = config
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return config


def whole(folder: Path) -> Path:
    """A training with all that one leaves."""
    open_run(folder, CONFIGURATION, overwrite=False)
    for name in (LAST, BEST, LOG, RESULT):
        (folder / name).write_text("{}")
    for name in (EPOCHS, "tensorboard"):
        (folder / name).mkdir()
        (folder / name / "0001.safetensors").write_text("x")
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
