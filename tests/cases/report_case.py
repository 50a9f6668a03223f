"""Runs and evaluations small enough to be made for a test of their report, and a browser to open it in."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from explainers.cli.main import main

from explainers.data.samples import sample_images

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SEGMENTER = """
import torch
from torch import nn

def make():
    torch.manual_seed(4)
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 3, 3, 1, 1)).eval()
"""
HOSTILE = "<img src=x onerror=alert(1)>.png"


def digits(root: Path, count: int = 6) -> Path:
    """Sample digits as files, one of them with a name that is a tag, and a table of classes of which one is wrong."""
    root.mkdir(parents=True)
    rows = []
    for number, file in enumerate(sample_images()[:count]):
        name = HOSTILE if number == 1 else f"{number}.png"
        (root / name).write_bytes(file.path.read_bytes())
        label = int(file.name[:2]) if file.name[:2].isdigit() else 0
        rows.append((name, (label + (number == 2)) % 10))
    with (root.parent / "classes.csv").open("w", newline="") as table:
        csv.writer(table).writerows([("file", "class"), *rows])
    return root


def explained(root: Path, *more: str) -> Path:
    """A run of two methods on digits, without a report."""
    images = root / "in"
    if not images.exists():
        digits(images)
    command = ["run", str(images), "--model", "embedded", "-m", "grad-cam", "-m", "saliency", "--no-report", "-q"]
    assert main([*command, "--ground-truth", str(root / "classes.csv"), "--out", str(root / "out"), *more]) == 0
    return root / "out"


def evaluated(root: Path, *more: str) -> Path:
    """An evaluation with curves and masks, without a report."""
    command = ["evaluate", "digits:4", "--model", "embedded", "-m", "grad-cam", "-m", "saliency", "--no-figures"]
    metrics = ["--metric", "insertion:steps=8", "--metric", "deletion:steps=8", "--metric", "miou"]
    assert main([*command, *metrics, "--no-report", "-q", "--out", str(root / "out"), *more]) == 0
    return root / "out"


@contextmanager
def browser() -> Iterator[Any]:
    """Debian's Chromium; the test is skipped where it, or playwright, is not there."""
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"no {CHROMIUM}")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        try:
            yield found
        finally:
            found.close()


class Opened:
    """A page with what went wrong in it."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.wrong: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("dialog", lambda dialog: self.wrong.append(f"dialog {dialog.message}"))
        page.on("request", self._request)

    def _console(self, said: Any) -> None:
        if said.type in ("error", "warning") and "willReadFrequently" not in said.text:  # the test reads canvases
            self.wrong.append(said.text)

    def _request(self, request: Any) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            self.wrong.append(f"asked for {request.url}")

    def go(self, path: Path, hash_: str = "") -> Any:
        """Open a file."""
        self.page.goto("about:blank")
        self.page.goto(path.resolve().as_uri() + hash_)
        return self.page
