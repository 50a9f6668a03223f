"""Checkpoints: going on from one is as if nothing had happened, and a file is whole or as it was."""

from __future__ import annotations

import json
import os
import resource

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from explainers.baselines import SGD, AdamW
from explainers.baselines.training.checkpoint import load_state, save_state, save_weights
from explainers.errors import ModelFileError, WriteError


class Net(nn.Module):
    def __init__(self, tied=False) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4)
        if tied:
            self.last.weight = self.first.weight

    def forward(self, x):
        return self.last(self.norm(self.first(x)).relu())


def learn(network, optimizer, seeds):
    for seed in seeds:
        images = torch.randn(6, 4, generator=torch.Generator().manual_seed(seed))
        optimizer.zero_grad()
        network(images.to(network.first.weight.dtype)).square().sum().backward()
        optimizer.step()


RECORDS = [
    AdamW(lr=0.05, weight_decay=0.1),
    SGD(lr=0.01),
    SGD(lr=0.01, momentum=0.0),
    SGD(lr=0.01, nesterov=True, parts={"last": 0.1}),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: f"{type(record).__name__}-{RECORDS.index(record)}")
@pytest.mark.parametrize("kind", ["plain", "tied", "bfloat16", "frozen"])
def test_steps_after_a_round_trip_give_the_very_same_weights(tmp_path, record, kind):
    def made():
        network = Net(tied=kind == "tied")
        if kind == "bfloat16":
            network.to(torch.bfloat16)
        if kind == "frozen":
            network.first.requires_grad_(False)
        return network, record.make(network)

    network, optimizer = made()
    learn(network, optimizer, range(3))
    save_state(
        tmp_path / "last.safetensors", {"network": network}, {"optimizer": optimizer}, {"history": [{"val_loss": 0.1}]}
    )
    torch.manual_seed(99)
    again, other = made()
    assert load_state(tmp_path / "last.safetensors", {"network": again}, {"optimizer": other}) == {
        "history": [{"val_loss": 0.1}]
    }
    learn(network, optimizer, range(3, 6))
    learn(again, other, range(3, 6))
    assert again.first.weight.dtype == (torch.bfloat16 if kind == "bfloat16" else torch.float32)
    assert (again.first.weight is again.last.weight) == (kind == "tied")
    for name, value in network.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_without_the_moments_the_weights_would_differ(tmp_path):
    network = Net()
    optimizer = AdamW(lr=0.05).make(network)
    learn(network, optimizer, range(3))
    again = Net()
    again.load_state_dict(network.state_dict())
    learn(network, optimizer, [3])
    learn(again, AdamW(lr=0.05).make(again), [3])
    assert not torch.equal(network.first.weight, again.first.weight)


def test_facts_come_back_bit_for_bit(tmp_path):
    network = Net()
    optimizer = AdamW().make(network)
    facts = {"history": [{"val_loss": 1 / 3, "epoch": 0}], "scaler": {}, "none": None}
    save_state(tmp_path / "a.safetensors", {"network": network}, {"optimizer": optimizer}, facts)
    assert load_state(tmp_path / "a.safetensors", {"network": network}, {"optimizer": optimizer}) == facts


def test_learning_rates_of_groups_come_back(tmp_path):
    network = Net()
    optimizer = SGD(parts={"last": 0.5}).make(network)
    for group in optimizer.param_groups:
        group["lr"] /= 7
    save_state(tmp_path / "a.safetensors", {"network": network}, {"optimizer": optimizer}, {})
    other = SGD(parts={"last": 0.5}).make(network)
    load_state(tmp_path / "a.safetensors", {"network": network}, {"optimizer": other})
    assert [group["lr"] for group in other.param_groups] == [0.1 / 7, 0.5 / 7]


def test_weights_are_a_state_dict_with_facts_in_the_header(tmp_path):
    network = Net(tied=True)
    save_weights(tmp_path / "deep" / "best.safetensors", network, {"epoch": 3})
    found = load_file(tmp_path / "deep" / "best.safetensors")
    assert found.keys() == network.state_dict().keys()
    assert all(torch.equal(found[name], value) for name, value in network.state_dict().items())
    with safe_open(tmp_path / "deep" / "best.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["facts"]) == {"epoch": 3}


def test_weights_are_as_readable_for_others_as_any_file(tmp_path):
    save_weights(tmp_path / "best.safetensors", Net(), {})
    (tmp_path / "any").write_text("")
    assert (tmp_path / "best.safetensors").stat().st_mode == (tmp_path / "any").stat().st_mode


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def emptied(path):
    path.write_bytes(b"")


def garbled(path):
    path.write_bytes(b"\xff" * 400)


def removed(path):
    path.unlink()


def without_facts(path):
    save_file(load_file(path), path)


def torn_facts(path):
    save_file(load_file(path), path, metadata={"facts": '{"history": ['})


def without_optimizer(path):
    save_file(load_file(path), path, metadata={"facts": "{}"})


def facts_that_are_no_object(path):
    save_file(load_file(path), path, metadata={"facts": "[1]"})


def optimizer_that_is_no_object(path):
    save_file(load_file(path), path, metadata={"facts": '{"optimizer": 3}'})


def scalars_that_are_no_object(path):
    save_file(load_file(path), path, metadata={"facts": '{"optimizer": {"scalars": [1], "groups": []}}'})


def of_another_network(path):
    network = nn.Linear(2, 2)
    save_state(path, {"network": network}, {"optimizer": AdamW().make(network)}, {})


DAMAGES = [
    cut,
    emptied,
    garbled,
    removed,
    without_facts,
    torn_facts,
    without_optimizer,
    facts_that_are_no_object,
    optimizer_that_is_no_object,
    scalars_that_are_no_object,
    of_another_network,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_refused_with_its_name_and_the_remedy(tmp_path, damage):
    network, path = Net(), tmp_path / "last.safetensors"
    optimizer = AdamW().make(network)
    learn(network, optimizer, range(1))
    save_state(path, {"network": network}, {"optimizer": optimizer}, {})
    damage(path)
    with pytest.raises(ModelFileError) as caught:
        load_state(path, {"network": network}, {"optimizer": optimizer})
    text = str(caught.value)
    assert text.startswith(f"the checkpoint {path} cannot be gone on from: ")
    assert text.endswith("; train anew with overwrite")


def test_an_optimizer_of_other_groups_is_refused(tmp_path):
    network, path = Net(), tmp_path / "last.safetensors"
    save_state(path, {"network": network}, {"optimizer": AdamW().make(network)}, {})
    with pytest.raises(ModelFileError, match="cannot be gone on from"):
        load_state(path, {"network": network}, {"optimizer": AdamW(parts={"last": 0.1}).make(network)})


def test_a_full_disk_leaves_the_weights_whole_and_is_an_error(tmp_path):
    path = tmp_path / "best.safetensors"
    save_weights(path, Net(), {})
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    caught = None
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        save_weights(path, nn.Linear(100, 100), {})
    except Exception as error:
        caught = error
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["best.safetensors"]
    assert isinstance(caught, WriteError), repr(caught)
    assert "what was written before is whole" in str(caught)
