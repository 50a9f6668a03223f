"""Images, a network and trainings for the tests of the command; trainings real and pretended."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from explainers.cli.main import main
from run_case import folder
from training_case import command, outcome

import explainers.baselines

FACTORY = """
import torch
from torch import nn

def make():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))

def gray():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A training of two epochs; tests leave it as it is."""
    out = tmp_path_factory.mktemp("trained") / "RUN"
    assert main(command(out, "--epochs", "2", "-q")) == 0
    return out


@pytest.fixture
def pretended(monkeypatch):
    """Makes the trainer return a result without training."""

    def pretend(result):
        monkeypatch.setattr(
            explainers.baselines,
            "train",
            lambda network, data, out, settings, **more: SimpleNamespace(folder=Path(out), result=result),
        )

    return pretend


@pytest.fixture
def asked(monkeypatch):
    """What the command asks the trainer for, which does not train."""
    found = SimpleNamespace()

    def fake(network, data, out, settings, **more):
        found.__dict__.update(network=network, data=data, out=out, settings=settings, **more)
        return SimpleNamespace(folder=Path(out), result=outcome())

    monkeypatch.setattr(explainers.baselines, "train", fake)
    return found


@pytest.fixture
def images(tmp_path):
    return folder(tmp_path / "in")


@pytest.fixture
def net(tmp_path):
    (tmp_path / "net.py").write_text(FACTORY)
    return tmp_path / "net.py"
