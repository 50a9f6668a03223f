"""A run and an evaluation over images of hostile names and one that is none, for all formats."""

from __future__ import annotations

import numpy as np
import pytest
from explainers.cli.main import main
from PIL import Image

HOSTILE = ("=1+1 ü.png", "007.png", "a,b'\"c.png", "sub/-x.png")


@pytest.fixture(scope="session")
def hostile():
    """The names of the images."""
    return HOSTILE


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """The folder with `run` and `evaluate` in it; photos are 40 high and 28 wide."""
    root = tmp_path_factory.mktemp("export")
    drawn = np.random.default_rng(0)
    for name in HOSTILE:
        (root / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(drawn.integers(0, 255, (40, 28), np.uint8)).save(root / "in" / name)
    (root / "in" / "broken.png").write_bytes(b"no image")
    common = [str(root / "in"), "--model", "embedded", "-m", "saliency", "--no-report", "--quiet"]
    assert main(["run", *common, "-m", "grad-cam", "--out", str(root / "run")]) == 1
    assert main(["evaluate", *common, "--metric", "sparseness", "--no-figures", "--out", str(root / "evaluate")]) == 1
    return root


@pytest.fixture(scope="session")
def ran(folders):
    """The run alone."""
    return folders / "run"
