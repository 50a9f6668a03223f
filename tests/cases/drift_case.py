"""Three states of a small network and photos of three classes, for the tests of `explain drift`."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import torch

from explainers.data.images import write_image
from explainers.models.factory import function_from

FACTORY = """
import torch
from torch import nn

def make(classes=3):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes))

def other():
    return make(5)
"""
LIGHT = ["--device", "cpu", "--no-figures", "--no-report", "-q"]
SIZE = ["--size", "16x16"]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def states_and_photos(root: Path) -> Path:
    """A folder with net.py, states of its network at three "epochs", and images of three classes."""
    (root / "net.py").write_text(FACTORY)
    network = function_from(f"{root / 'net.py'}:make")()
    for number in (1, 5, 20):
        torch.save(network.state_dict(), root / f"net-{number}.pt")
        torch.manual_seed(number)
        with torch.no_grad():
            for value in network.parameters():
                value += 0.2 * torch.randn_like(value)
    for index in range(9):
        pixels = np.random.default_rng(index).integers(0, 255, (16, 16, 3), np.uint8)
        write_image(root / "images" / "abc"[index % 3] / f"{index}.png", pixels)
    (root / "classes.txt").write_text("a\nb\nc\n")
    return root


def of_files(root: Path, out: Path, *more: str, files=("net-*.pt",)) -> list[str]:
    given = [str(root / each) for each in files]
    data = ["--data", str(root / "images"), "--ground-truth", "folders", "--labels", str(root / "classes.txt")]
    return ["drift", *given, "--model", f"{root / 'net.py'}:make", *data, "--out", str(out), *SIZE, *LIGHT, *more]
