"""What the tests of losses share: a small network with the parts that losses of maps are on, and trainings that are killed."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from explainers.baselines import SGD, Constant, Settings, Step, train
from explainers.baselines.losses.loss import Beginning, Pass, forward
from explainers.baselines.networks.registry import NETWORKS, Entry
from explainers.baselines.training.updates import beginning

DATA = "magnetogram:size=32,grades=4,train=16,val=8,test=0"
SMALL = Settings(epochs=3, batch_size=8, optimizer=SGD(lr=0.05), schedule=Constant())


@dataclass(frozen=True)
class Decoded:
    """What the network below makes; kept by name, as `Branches` are."""

    logits: torch.Tensor
    attention_map: torch.Tensor
    map_logits: torch.Tensor
    cams: torch.Tensor
    attention_logits: None = field(default=None)


class Decoding(nn.Module):
    """Class activation maps of a classifier that rests, and a decoder to the image's size."""

    frozen_parts = ("features", "to_cams")

    def __init__(self, channels, classes):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(channels, 8, 3, stride=4, padding=1), nn.ReLU())
        self.to_cams = nn.Conv2d(8, classes, 1)
        self.decoder = nn.Sequential(nn.Conv2d(channels, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 2, 3, padding=1))

    def forward_branches(self, images, attention_map=None):
        cams = self.to_cams(self.features(images))
        logits = self.decoder(images)
        return Decoded(cams.mean(dim=(2, 3)), logits.softmax(1)[:, 1:], logits, cams)

    def forward(self, images):
        return self.forward_branches(images).logits


@pytest.fixture
def small_decoding(monkeypatch):
    """Makes the network above known as "small-decoding"."""
    monkeypatch.setitem(
        NETWORKS._things, "small-decoding", Entry(lambda *, channels, classes: Decoding(channels, classes), True, "")
    )


def step_of(network, images, labels=None, **more) -> Step:
    labels = torch.zeros(len(images), dtype=torch.long) if labels is None else labels
    return Step(network, images, labels, forward(network, images), torch.Generator().manual_seed(0), **more)


def step_on(made: Pass, labels, **more) -> Step:
    """A step of whose pass the parts are given."""
    size = more.pop("size", (4, 4))
    return Step(
        nn.Identity(), torch.zeros(len(labels), 3, *size), labels, made, torch.Generator().manual_seed(0), **more
    )


def began(network, images, classes) -> Beginning:
    return beginning(network, images, classes)


def trained(out, network, settings, **more):
    return train(network, DATA, out, settings, device="cpu", **more)


def weights(run, name="last"):
    return load_file(run.folder / f"{name}.safetensors")


class Killed(Exception):
    pass


def trained_twice(tmp_path, network, settings, **more):
    """The state of an undisturbed training, and that of one that was killed after its second epoch and went on."""

    def kill(row):
        if row["epoch"] == 2:
            raise Killed

    undisturbed = trained(tmp_path / "undisturbed", network, settings, **more)
    with pytest.raises(Killed):
        trained(tmp_path / "killed", network, settings, watch=kill, **more)
    return undisturbed, trained(tmp_path / "killed", network, settings, **more)
