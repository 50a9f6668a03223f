"""Which parts learn when: plans by hand, and that what is frozen really rests."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from explainers.baselines import SGD, AdamW, Alternating, Phases, Settings, Stage, Throughout, train
from explainers.baselines.training.settings.plans import frozen
from explainers.errors import ExplainersError, OptionError

A, B, C = Stage(("perception",)), Stage(("attention",), ("features",)), Stage(None, ("head",))


class Branchy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout(0.5))
        self.features2 = nn.Conv2d(3, 3, 1)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))

    def forward(self, x):
        return self.head(self.features2(self.features(x)))


def step(network, optimizer, seed):
    images = torch.randn(4, 1, 6, 6, generator=torch.Generator().manual_seed(seed))
    network(images).square().sum().backward()
    optimizer.step()


def copied(tree):
    if isinstance(tree, torch.Tensor):
        return tree.clone()
    if isinstance(tree, dict):
        return {key: copied(value) for key, value in tree.items()}
    return tree


def equal(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    return one == other


def test_throughout_is_the_same_at_every_moment():
    plan = Throughout(losses=("perception",), frozen=("features",))
    assert {plan.stage(epoch, number) for epoch in range(5) for number in range(5)} == {
        Stage(("perception",), ("features",))
    }
    assert Throughout().stage(3, 4) == Stage(None, ())


def test_phases_follow_each_other_and_the_last_one_stays():
    plan = Phases(((2, A), (1, B), (1, C)))
    assert [plan.stage(epoch, 7) for epoch in range(6)] == [A, A, B, C, C, C]
    assert Phases(((3, A),)).stage(99, 0) == A
    assert [Phases(((1, A), (0, B))).stage(epoch, 0) for epoch in range(3)] == [A, B, B]


def test_alternating_takes_turns_by_epoch_or_by_step():
    by_epoch, by_step = Alternating((A, B, C)), Alternating((A, B), every="step")
    assert [by_epoch.stage(epoch, 1) for epoch in range(5)] == [A, B, C, A, B]
    assert [by_step.stage(0, number) for number in range(4)] == [A, B, A, B]
    assert by_step.stage(1, 0) == A


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Phases(()), "phases []; expected (epochs, Stage) with at least one epoch each"),
        (
            lambda: Phases(((0, A), (1, B))),
            "phases [(0, {'losses': ('perception',), 'frozen': ()}), (1, {'losses': ('attention',), "
            "'frozen': ('features',)})]; expected (epochs, Stage) with at least one epoch each",
        ),
        (
            lambda: Alternating((A, B), every="batch"),
            "every='batch' with 2 stages; expected 'epoch' or 'step', and at least one stage",
        ),
        (lambda: Alternating(()), "every='epoch' with 0 stages; expected 'epoch' or 'step', and at least one stage"),
        (lambda: Stage("perception"), "losses='perception'; expected several, such as ('perception',)"),
        (lambda: Stage(frozen="head"), "frozen='head'; expected several, such as ('head',)"),
        (lambda: Throughout("perception"), "losses='perception'; expected several, such as ('perception',)"),
        (lambda: Throughout(frozen="head"), "frozen='head'; expected several, such as ('head',)"),
    ],
)
def test_impossible_plans_are_refused(make, message):
    with pytest.raises(OptionError) as caught:
        make()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (Throughout(), (Stage(),)),
        (Throughout(("perception",), ("features",)), (Stage(("perception",), ("features",)),)),
        (Phases(((2, A), (1, B), (0, C))), (A, B, C)),
        (Alternating((C, A)), (C, A)),
        (Alternating((A, B, A), every="step"), (A, B, A)),
    ],
)
def test_stages_are_all_that_come(plan, expected):
    assert plan.stages() == expected
    seen = {plan.stage(epoch, number) for epoch in range(9) for number in range(9)}
    assert seen == set(expected)


SMALL = "magnetogram:size=32,train=8,val=4,test=0"
FEATURES = ("stem", "layer1", "layer2", "layer3", "layer4", "pool", "fc")


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (Throughout(losses=("attention",)), "the plan asks for losses ('attention',); there are perception"),
        (
            Phases(((1, Stage()), (0, Stage(("perception", "saliency"))))),
            "the plan asks for losses ('perception', 'saliency'); there are perception",
        ),
        (
            Alternating((Stage(), Stage(("attention",))), every="step"),
            "the plan asks for losses ('attention',); there are perception",
        ),
        (Phases(((9, Stage()), (0, Stage(())))), "the plan asks for losses (); there are perception"),
        (Throughout(frozen=FEATURES), f"frozen={FEATURES} leaves nothing to learn"),
        (Phases(((9, Stage()), (0, Stage(None, FEATURES)))), f"frozen={FEATURES} leaves nothing to learn"),
        (
            Phases(((9, Stage()), (0, Stage(None, ("featurs",))))),
            "frozen='featurs' (--freeze featurs): no part of the network is called so; there are stem, layer1, layer2, "
            "layer3, layer4, pool, fc",
        ),
    ],
)
def test_a_mistake_in_any_stage_is_refused_before_the_first(tmp_path, plan, message):
    with pytest.raises(OptionError) as caught:
        train("plain", SMALL, tmp_path / "run", Settings(epochs=1, plan=plan), device="cpu")
    assert str(caught.value) == message
    assert not (tmp_path / "run").exists()


def test_losses_on_which_no_learning_part_has_an_influence_are_refused(tmp_path):
    plan = Alternating((Stage(("attention",), ("features", "attention")),))
    with pytest.raises(ExplainersError, match="attention"):
        train("abn", SMALL, tmp_path / "run", Settings(epochs=1, plan=plan), device="cpu")


def test_settings_tell_plans_apart():
    plans = [
        Throughout(),
        Throughout(losses=("perception",)),
        Throughout(frozen=("features",)),
        Phases(((2, A), (0, B))),
        Phases(((3, A), (0, B))),
        Phases(((2, B), (0, A))),
        Alternating((A, B)),
        Alternating((B, A)),
        Alternating((A, B), every="step"),
    ]
    assert len({repr(plan.settings()) for plan in plans}) == len(plans)
    assert Alternating((A, C), every="step").settings() == {
        "kind": "Alternating",
        "every": "step",
        "parts": [{"losses": ("perception",), "frozen": ()}, {"losses": None, "frozen": ("head",)}],
    }


@pytest.mark.parametrize("record", [AdamW(lr=0.1, weight_decay=0.5), SGD(lr=0.1, weight_decay=0.5, momentum=0.9)])
def test_what_is_frozen_rests_while_the_others_learn(record):
    network = Branchy()
    optimizer = record.make(network)
    for seed in range(2):  # so that moments and momentum are there, which would go on moving frozen weights
        optimizer.zero_grad()
        step(network, optimizer, seed)
    weights, moments = copied(dict(network.state_dict())), copied(optimizer.state_dict()["state"])
    names = [name for name, _ in network.named_parameters()]
    for seed in range(3):
        optimizer.zero_grad()
        with frozen(network, ("features",)):
            step(network, optimizer, 10 + seed)
    for name, value in network.state_dict().items():
        assert torch.equal(value, weights[name]) == name.startswith("features."), name
    state = optimizer.state_dict()["state"]
    for index, name in enumerate(names):
        assert equal(state[index], moments[index]) == name.startswith("features."), name


def test_gradients_that_were_there_before_do_not_move_what_is_frozen():
    network = Branchy()
    optimizer = SGD(lr=0.1).make(network)
    network(torch.randn(4, 1, 6, 6)).sum().backward()
    before = network.features[0].weight.detach().clone()
    with frozen(network, ("features",)):
        assert network.features[0].weight.grad is None
        optimizer.step()
    assert torch.equal(network.features[0].weight, before)


def test_batch_norm_of_what_is_frozen_uses_its_running_statistics():
    network = Branchy().train()
    images = torch.randn(4, 1, 6, 6)
    with frozen(network, ("features",)):
        inside = network.features(images)
        assert network.head.training
    network.features.eval()
    assert torch.equal(inside, network.features(images))


def test_a_beginning_ends_at_a_dot():
    network = Branchy()
    with frozen(network, ("features",)):
        assert not network.features[0].weight.requires_grad
        assert network.features2.weight.requires_grad
        assert network.features2.training
    with frozen(network, ("features.0", "head.2")):
        assert [name for name, value in network.named_parameters() if value.requires_grad] == [
            "features.1.weight",
            "features.1.bias",
            "features2.weight",
            "features2.bias",
        ]


def test_nothing_frozen_changes_nothing():
    network = Branchy()
    with frozen(network, ()):
        assert all(value.requires_grad for value in network.parameters())
        assert all(module.training for module in network.modules())


@pytest.mark.parametrize("failing", [False, True])
def test_modes_and_gradients_are_as_before_afterwards(failing):
    network = Branchy().train()
    network.features[1].eval()
    network.features[0].bias.requires_grad_(False)
    before = [module.training for module in network.modules()]
    needed = [value.requires_grad for value in network.parameters()]
    try:
        with frozen(network, ("features", "head", "features.0")):
            assert not any(value.requires_grad for value in network.features.parameters())
            if failing:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        assert failing
    assert [module.training for module in network.modules()] == before
    assert [value.requires_grad for value in network.parameters()] == needed


def test_an_unknown_part_is_refused_with_those_that_are_there():
    network = Branchy()
    with pytest.raises(OptionError) as caught, frozen(network, ("features", "perception")):
        pass
    assert str(caught.value) == (
        "frozen='perception' (--freeze perception): no part of the network is called so; there are features, features2, head"
    )
    assert all(value.requires_grad for value in network.parameters())
    assert all(module.training for module in network.modules())
