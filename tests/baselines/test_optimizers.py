"""Optimisers as records: which parameter learns at which rate, and that torch's own is what comes out."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from explainers.baselines import SGD, AdamW
from explainers.errors import OptionError


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4))
        self.head = nn.Linear(4, 2)
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.head(self.features(x).relu()) * self.scale


def rates(network, optimizer):
    """Learning rate of each parameter by its name; the same parameter in two groups is a failure."""
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    found = [(names[id(value)], group["lr"]) for group in optimizer.param_groups for value in group["params"]]
    assert len(found) == len(dict(found))
    return dict(found)


def stepped(network, optimizer, steps=3):
    rng = torch.Generator().manual_seed(5)
    for _ in range(steps):
        optimizer.zero_grad()
        network(torch.randn(6, 3, generator=rng)).square().sum().backward()
        optimizer.step()
    return network.state_dict()


@pytest.mark.parametrize("kind", [AdamW, SGD])
def test_every_parameter_is_in_exactly_one_group_of_its_innermost_part(kind):
    network = Small()
    made = kind(lr=1e-2, parts={"features": 1e-3, "features.1": 1e-4, "features.1.bias": 1e-5}).make(network)
    assert rates(network, made) == {
        "features.0.weight": 1e-3,
        "features.0.bias": 1e-3,
        "features.1.weight": 1e-4,
        "features.1.bias": 1e-5,
        "head.weight": 1e-2,
        "head.bias": 1e-2,
        "scale": 1e-2,
    }


def test_order_of_parts_does_not_matter():
    network = Small()
    parts = {"features.1": 1e-4, "features": 1e-3}
    swapped = dict(reversed(parts.items()))
    assert rates(network, AdamW(parts=parts).make(network)) == rates(network, AdamW(parts=swapped).make(network))


class Layered(nn.Module):
    """Parts whose names begin alike."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1, self.layer10 = nn.Linear(2, 2), nn.ModuleList([nn.Linear(2, 2), *[nn.Identity()] * 9])
        self.layer10.append(nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("part", "inside"),
    [
        ("layer1", {"layer1.weight", "layer1.bias"}),
        ("layer10", {"layer10.0.weight", "layer10.0.bias", "layer10.10.weight", "layer10.10.bias"}),
        ("layer10.0", {"layer10.0.weight", "layer10.0.bias"}),
        ("layer10.10", {"layer10.10.weight", "layer10.10.bias"}),
        ("layer1.bias", {"layer1.bias"}),
    ],
)
def test_a_part_ends_at_a_dot(part, inside):
    network = Layered()
    found = rates(network, AdamW(lr=1e-2, parts={part: 1e-4}).make(network))
    assert found.keys() == dict(network.named_parameters()).keys()
    assert {name for name, rate in found.items() if rate == 1e-4} == inside
    assert {name for name, rate in found.items() if rate == 1e-2} == found.keys() - inside


def test_a_part_whose_parameters_all_belong_to_inner_ones_leaves_no_empty_group():
    network = Small()
    made = SGD(parts={"features": 1e-3, "features.0": 1e-4, "features.1": 1e-5}).make(network)
    assert sorted(group["lr"] for group in made.param_groups) == [1e-5, 1e-4, 0.1]


def test_without_parts_there_is_one_group():
    network = Small()
    (group,) = AdamW(lr=0.3).make(network).param_groups
    assert len(group["params"]) == len(list(network.parameters()))
    assert group["lr"] == 0.3


@pytest.mark.parametrize(
    ("record", "theirs"),
    [
        (AdamW(), lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=0.01, betas=(0.9, 0.999))),
        (
            AdamW(lr=0.02, weight_decay=0.3, betas=(0.5, 0.7)),
            lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.3, betas=(0.5, 0.7)),
        ),
        (SGD(), lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=1e-4, momentum=0.9)),
        (
            SGD(lr=0.02, weight_decay=0.1, momentum=0.5, nesterov=True),
            lambda p: torch.optim.SGD(p, lr=0.02, weight_decay=0.1, momentum=0.5, nesterov=True),
        ),
    ],
)
def test_steps_equal_those_of_torch(record, theirs):
    ours, other = Small(), Small()
    other.load_state_dict(ours.state_dict())
    found, expected = stepped(ours, record.make(ours)), stepped(other, theirs(other.parameters()))
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_part_learns_at_its_own_rate_and_decays_by_it():
    ours = Small()
    other = deepcopy(ours)
    found = stepped(ours, AdamW(lr=0.01, weight_decay=0.2, parts={"head": 0.1}).make(ours))
    head = list(other.head.parameters())
    rest = [value for name, value in other.named_parameters() if not name.startswith("head")]
    theirs = torch.optim.AdamW([{"params": rest}, {"params": head, "lr": 0.1}], lr=0.01, weight_decay=0.2)
    expected = stepped(other, theirs)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("part", ["perception", "feat", "features.1.b", "features.2", "features."])
def test_a_part_that_is_not_there_is_refused_with_those_that_are(part):
    with pytest.raises(OptionError) as caught:
        AdamW(parts={"head": 1e-3, part: 1e-4}).make(Small())
    assert str(caught.value) == f"no parameter is in a part {part!r} of the network; there are scale, features, head"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AdamW(lr=0.0), "lr=0.0, weight_decay=0.01"),
        (lambda: SGD(lr=-1.0), "lr=-1.0, weight_decay=0.0001"),
        (lambda: AdamW(parts={"a": 0.0}), "lr=0.001, parts={'a': 0.0}, weight_decay=0.01"),
        (lambda: SGD(weight_decay=-0.1), "lr=0.1, weight_decay=-0.1"),
    ],
)
def test_rates_that_are_not_positive_and_a_negative_decay_are_refused(make, message):
    with pytest.raises(OptionError) as caught:
        make()
    assert str(caught.value) == f"{message}; expected learning rates above 0 and a weight decay of at least 0"


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (AdamW(betas=(0.9, 1.5)), "Invalid beta parameter at index 1: 1.5"),
        (SGD(momentum=-1.0), "Invalid momentum value: -1.0"),
        (SGD(momentum=0.0, nesterov=True), "Nesterov momentum requires a momentum and zero dampening"),
    ],
)
def test_what_torch_refuses_is_an_option_error_with_its_reason(record, why):
    with pytest.raises(OptionError) as caught:
        record.make(Small())
    assert str(caught.value) == f"{record}: {why}"
    assert isinstance(caught.value.__cause__, ValueError)


def test_settings_tell_records_apart():
    records = [
        AdamW(),
        SGD(),
        AdamW(lr=0.1),
        AdamW(betas=(0.8, 0.999)),
        AdamW(weight_decay=0.0),
        AdamW(parts={"head": 0.1}),
        AdamW(parts={"head": 0.2}),
        SGD(momentum=0.8),
        SGD(nesterov=True),
    ]
    told = [repr(record.settings()) for record in records]
    assert len(set(told)) == len(records)
    assert AdamW().settings() == {
        "kind": "AdamW",
        "lr": 1e-3,
        "weight_decay": 0.01,
        "parts": {},
        "betas": (0.9, 0.999),
    }
