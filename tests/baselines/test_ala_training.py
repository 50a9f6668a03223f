"""Trainings of the attention lattice adapter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from explainers.cli.main import main
from safetensors.torch import load_file, save_file
from torch import nn

import explainers
from explainers.baselines import ALA, AdamW, Polynomial, Settings, create_network, read_run, train
from explainers.baselines.networks.ala import vision_transformer
from explainers.baselines.training.loop import Training
from explainers.data.data_set import DataSet, Split
from explainers.data.sets import data_set
from explainers.errors import ModelFileError, OptionError, UnsupportedError

DATA = "magnetogram:size=32,grades=4,train=24,val=8,test=8"


TINY = {"backbone": "tiny-vit", "side_width": 16, "side_depth": 3, "side_heads": 2, "queries": 5}


SMALL = Settings(epochs=4, batch_size=8, optimizer=AdamW(lr=1e-3, weight_decay=1e-4), schedule=Polynomial(), clip=1.0)


def fitted(start, folder, settings=SMALL, **more):
    return train("ala", more.pop("data", DATA), folder, settings, options={**TINY, **more}, start=start, device="cpu")


def test_positions_and_queries_do_not_decay():
    network = create_network("ala", channels=3, classes=2, **TINY)
    made = AdamW(lr=1e-3, weight_decay=0.1, parts={"head": 1e-4}).make(network)
    names = {id(value): name for name, value in network.named_parameters()}
    told = {names[id(value)]: group for group in made.param_groups for value in group["params"]}
    assert len(told) == len(names)
    resting = {name for name, group in told.items() if group["weight_decay"] == 0}
    assert resting == {"side.queries", "side.query_positions", "side.positions"}
    assert {group["weight_decay"] for group in told.values()} == {0, 0.1}
    assert told["head.1.weight"]["lr"] == 1e-4


def test_the_first_epoch_of_a_pair_moves_the_perception_branch_alone(start, tmp_path, monkeypatch):
    """Parameters, statistics of batch norm and moments of the optimiser, bit by bit; the encoder never moves."""
    states, maps, passes = [], [], []
    original, whole = Training._keep, ALA.forward_branches

    def keep(self, losses):
        names = {id(value): name for name, value in self.network.named_parameters()}
        moments = {
            f"{names[id(value)]} {kind}": each.clone()
            for value, state in self.updates.optimizers["optimizer"].state.items()
            for kind, each in state.items()
        }
        states.append({name: value.clone() for name, value in self.network.state_dict().items()} | moments)
        original(self, losses)

    def watched(self, images, attention_map=None):
        branches = whole(self, images, attention_map)
        if self.training:
            maps.append(bool((branches.attention_map == 1).all()))
            passes.append(self.encoder.training)
        return branches

    monkeypatch.setattr(Training, "_keep", keep)
    monkeypatch.setattr(ALA, "forward_branches", watched)
    run = fitted(start, tmp_path / "run")
    assert maps == ([True] * 3 + [False] * 3) * 2
    assert not any(passes)
    assert ["val_loss" in row for row in run.history] == [False, True, False, True]
    for name, value in states[2].items():  # the third epoch, when everything has moments
        same = torch.equal(value, states[1][name])
        if name.startswith(("side.", "attention.", "encoder.")):
            assert same, name
        elif name.startswith(("perception.", "head.")) and "num_batches" not in name:
            assert not same or not value.any(), name
    moving = [name for name in states[3] if name.startswith(("side.", "attention.")) and "exp_avg" in name]
    assert moving
    assert not any(torch.equal(states[3][name], states[2][name]) for name in moving)
    assert any("running_mean" in name and not torch.equal(states[3][name], states[2][name]) for name in states[3])
    assert not any(name.startswith("encoder.") and "exp_avg" in name for name in states[3])
    before = load_file(start)
    assert all(torch.equal(states[3][f"encoder.network.{name}"], value) for name, value in before.items())


class Stopped(Exception):
    pass


def test_a_stopped_training_goes_on_to_the_same_weights_and_is_a_model(start, tmp_path):
    def stop(epoch: int, step: int, steps: int, losses: dict) -> None:
        if (epoch, step) == (3, 2):
            raise Stopped

    settings = replace(SMALL, augment=("flip",))
    more = {"map_dropout": 0.1, "second_mlp": True}
    fitted(start, tmp_path / "whole", settings, **more)
    with pytest.raises(Stopped):
        train(
            "ala", DATA, tmp_path / "run", settings, options={**TINY, **more}, start=start, device="cpu", progress=stop
        )
    torch.manual_seed(99)
    fitted(start, tmp_path / "run", settings, **more)
    first, second = (load_file(tmp_path / name / "last.safetensors") for name in ("whole", "run"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    start.unlink()  # the run has all that it needs
    loaded = explainers.load_model(tmp_path / "run", device="cpu")
    images = torch.randn(2, 1, 32, 32)
    maps = explainers.create("attention", loaded)(images)
    wanted = loaded.network.forward_branches(images).attention_map
    torch.testing.assert_close(maps, nn.functional.interpolate(wanted, (32, 32), mode="bilinear")[:, 0])
    assert read_run(tmp_path / "run").config["network"]["options"]["backbone"] == "tiny-vit"


class Same(Split):
    """Sixteen images of a split."""

    def __init__(self, split: Split) -> None:
        self.split = split
        self.names, self.labels = split.names[:16], split.labels[:16]

    def pixels(self, index: int) -> np.ndarray:
        return self.split.pixels(index)


def sixteen() -> DataSet:
    """To learn from and to be judged by."""
    data = data_set("birds:size=32,classes=4,train=16,val=1,test=0")
    same = Same(data.train)
    return replace(data, train=same, val=same, test=None)


@pytest.mark.parametrize("sbn", [True, False])
def test_sixteen_images_are_learnt_by_heart(sbn, tmp_path):
    torch.manual_seed(3)
    save_file(vision_transformer("tiny-vit").state_dict(), tmp_path / "encoder.safetensors")
    settings = Settings(epochs=40, batch_size=16, optimizer=AdamW(lr=3e-3, weight_decay=0.0), clip=1.0)
    run = fitted(tmp_path / "encoder.safetensors", tmp_path / "run", settings, data=sixteen(), sbn=sbn)
    assert run.result["val"]["accuracy"] == 1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda out: train("ala", DATA, out, options={"backbone": "torchvision:resnet18"}, weights="DEFAULT.pt"),
            ModelFileError,
            "no file",
        ),
        (
            lambda out: create_network("ala", classes=2, backbone="torchvision:resnet18"),
            UnsupportedError,
            "ResNet has no patch tokens with a table of positions, which ala reads layer by layer; use a vision",
        ),
        (
            lambda out: create_network("ala", classes=2, backbone="timm:swin_tiny_patch4_window7_224"),
            UnsupportedError,
            "SwinTransformer has no patch tokens",
        ),
        (
            lambda out: create_network("ala", classes=2, backbone="timm:eva02_tiny_patch14_224"),
            UnsupportedError,
            "Eva cannot be read layer by layer: its blocks, run one after the other, do not give what they give in it",
        ),
        (
            lambda out: create_network("ala", classes=2, backbone="big-vit"),
            OptionError,
            "no vision transformer 'big-vit'; there are small-vit, tiny-vit, and a library's",
        ),
        (
            lambda out: create_network("ala", side_depth=2),
            OptionError,
            "side_depth=2; expected at least 3, as 4 layers",
        ),
        (lambda out: create_network("ala", queries=0), OptionError, "queries=0; expected at least 1"),
        (lambda out: create_network("ala", map_dropout=1.0), OptionError, "map_dropout=1.0; expected at least 0"),
        (
            lambda out: train("ala", DATA, out, SMALL, options=TINY),
            OptionError,
            "ala keeps its encoder as it is, so that has to be trained, and nothing says by what: start from a training of "
            "it .*explain train plain --backbone tiny-vit makes one",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_the_first_epoch(call, error, message, tmp_path):
    with pytest.raises(error, match=message):
        call(tmp_path / "run")
    assert not (tmp_path / "run" / "log.csv").exists()


@pytest.mark.parametrize("backbone", ["tiny-vit", "timm:test_vit"])
def test_a_plain_training_of_a_vision_transformer_is_where_one_of_ala_starts(backbone, tmp_path):
    """Its last layer is of the classes, which the encoder that ala reads knows nothing of."""
    vit, ala = tmp_path / "vit", tmp_path / "ala"
    size = 32 if backbone == "tiny-vit" else 160
    sizes = ["--epochs", "2", "--batch-size", "8", "--device", "cpu", "--quiet"]
    data = f"birds:size={size},classes=4,train=8,val=4,test=4"
    assert main(["train", "plain", "--backbone", backbone, "--data", data, "--out", str(vit), *sizes]) == 0
    side = [f"--option={key}={value}" for key, value in TINY.items() if key != "backbone"]
    assert main(["train", "ala", "--resume-from", str(vit), "--data", data, "--out", str(ala), *side, *sizes]) == 0
    trained, taken = load_file(vit / "best.safetensors"), load_file(ala / "best.safetensors")
    assert trained["head.weight"].shape[0] == 4
    for name, value in trained.items():
        if not name.startswith("head."):
            assert torch.equal(taken[f"encoder.network.{name}"], value), name
    assert explainers.load_model(str(ala), device="cpu").network(torch.rand(1, 3, size, size)).shape == (1, 4)
