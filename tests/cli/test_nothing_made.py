"""Where nothing came of any image: exit code 2 whatever the reason, said once, and no folder named that is not there."""

from __future__ import annotations

import json

import numpy as np
import pytest
from explainers.cli.main import main
from run_case import folder

tifffile = pytest.importorskip("tifffile")

NETS = """
import torch
from torch import nn

def bands():
    return nn.Sequential(nn.Conv2d(5, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))

class Lost(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, x):
        return self.inner(x) * float("nan")
"""
PHOTOS = tuple(f"{number}.png" for number in range(5))


def tiffs(path):
    path.mkdir()
    for name in ("a.tif", "b.tif"):
        values = np.zeros((20, 24, 13), dtype=np.uint16)
        tifffile.imwrite(path / name, values, photometric="minisblack", planarconfig="contig")
    return path


@pytest.fixture
def nets(tmp_path):
    (tmp_path / "nets.py").write_text(NETS)
    return tmp_path / "nets.py"


@pytest.mark.parametrize("command", ["run", "evaluate"])
@pytest.mark.parametrize(
    ("make", "net", "typed", "told"),
    [
        (tiffs, "bands", ["--channels", "5"], "there are 13 bands, and the network takes 5 channels"),
        (tiffs, "bands", ["--input-bands", "1,2,3,4,14"], "there are 13 bands, and no band 14"),
        (lambda path: folder(path, PHOTOS), "bands", ["--channels", "5"], "is no TIFF file"),
        (lambda path: folder(path, PHOTOS), "Lost", [], "NaN"),
    ],
)
def test_nothing_is_code_two_with_one_sentence(command, make, net, typed, told, tmp_path, nets, capsys):
    images, out = make(tmp_path / "in"), tmp_path / "out"
    argv = [command, str(images), "--model", f"{nets}:{net}", "--size", "16x16", *typed, "-m", "saliency"]
    assert main([*argv, "-o", str(out), "--device", "cpu", "-q"]) == 2
    printed = capsys.readouterr()
    assert printed.err.count(told) == 1
    assert "overlays" not in printed.out
    assert not (out / "overlays").exists()
    if command == "run":
        assert json.loads((out / "manifest.json").read_text())["status"] == "failed"


@pytest.mark.parametrize("command", ["run", "evaluate"])
def test_some_that_failed_are_code_one(command, tmp_path, capsys):
    images = folder(tmp_path / "in")
    (images / "x.png").write_text("no picture")
    (images / "y.png").write_text("no picture")
    argv = [command, str(images), "--model", "embedded", "-m", "saliency", "-o", str(tmp_path / "out"), "-q"]
    more = [] if command == "run" else ["--metric", "sparseness", "--no-figures"]
    assert main([*argv, *more, "--device", "cpu"]) == 1
    told = capsys.readouterr().err
    assert "explain: failed: x.png, y.png: " in told
    assert str(images) not in told
