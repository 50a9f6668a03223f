"""Every loss inside a small training: it counts, it is known by name, and a killed training ends as an undisturbed one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from loss_case import DATA, SMALL, began, small_decoding, trained, trained_twice, weights
from safetensors.torch import load_file

from explainers.baselines import (
    AttentionMining,
    ColourAffinity,
    ComplementObjective,
    CrossEntropy,
    GuidedAttention,
    HumanKnowledge,
    PrototypeConformity,
    SeededCrossEntropy,
    SizeBarrier,
    Stage,
    Together,
    available_losses,
    create_network,
)
from explainers.data.sets import data_set
from explainers.errors import TrainingError

assert small_decoding  # a fixture

BRANCHES = (CrossEntropy(), CrossEntropy("attention_logits"))
ROOT = Path(__file__).resolve().parent.parent.parent


def halves(index):
    """Edited maps for every other image: its left half."""
    if index % 2:
        return None
    edited = np.zeros((32, 32), np.float32)
    edited[:, :16] = 1
    return edited


CASES = {  # the network, the losses, the names of what is kept
    "attention-mining": ("amb", (AttentionMining(weight=0.1),), set()),
    "prototype-conformity": (
        "abn",
        (PrototypeConformity(), PrototypeConformity(of="attention_pooled", form="squared", margin=5.0)),
        {
            "loss:prototype-conformity.attracting",
            "loss:prototype-conformity.repelling",
            "loss:attention-prototype-conformity.attracting",
            "loss:attention-prototype-conformity.repelling",
        },
    ),
    "complement-objective": ("amb", (ComplementObjective(),), set()),
    "human-knowledge": (
        "abn",
        (HumanKnowledge(batches=5),),
        {f"loss:human-knowledge.{name}" for name in ("steps", "distance", "cross_entropy")},
    ),
    "guided-attention": ("gain", (GuidedAttention(given="mask"),), set()),
    "segmentation": (
        "small-decoding",
        (SeededCrossEntropy(erosion=3), ColourAffinity(exact=200), SizeBarrier(t=2.0, growth=1.5)),
        set(),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_killed_training_with_it_goes_on_to_the_same_weights(case, tmp_path, small_decoding):
    network, losses, kept = CASES[case]
    branches = BRANCHES[:1] if network in ("small-decoding", "gain") else BRANCHES
    given = {"edited": halves} if case == "human-knowledge" else {}
    settings = replace(SMALL, losses=(*branches, *losses), augment=("flip",))
    undisturbed, resumed = trained_twice(tmp_path, network, settings, given=given)
    first, second = weights(undisturbed), weights(resumed)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
    assert {name for name in first if name.startswith("loss:")} == kept
    assert undisturbed.result["val"] == resumed.result["val"]
    for loss in losses:
        values = [row[f"train_{loss.name}"] for row in undisturbed.history]
        assert len(set(values)) == 3
    if network != "small-decoding":  # which cannot learn by cross entropy alone
        without = weights(trained(tmp_path / "without", network, replace(settings, losses=branches)))
        assert any(not torch.equal(value, first[name]) for name, value in without.items() if "network" in name)


def test_what_rests_rests_while_the_map_is_learnt(tmp_path, small_decoding):
    losses = (CrossEntropy(), SeededCrossEntropy(erosion=3), ColourAffinity(), SizeBarrier())
    run = trained(tmp_path, "small-decoding", replace(SMALL, losses=losses, keep_every=1))
    first, last = (load_file(tmp_path / f"epochs/{number:04d}.safetensors") for number in (1, 3))
    for name, value in first.items():
        assert torch.equal(value, last[name]) == (not name.startswith("decoder")), name
    assert run.history[-1]["val_loss"] < run.history[0]["val_loss"]  # of the losses that are judged by batches


def test_a_complement_loss_gets_an_update_of_its_own_unless_a_plan_says_otherwise(tmp_path):
    losses = (CrossEntropy(), ComplementObjective())
    apart = Together((Stage(("perception",)), Stage(("complement-objective",), optimizer="complement-objective")))
    own = trained(tmp_path / "own", "plain", replace(SMALL, losses=losses))
    planned = trained(tmp_path / "planned", "plain", replace(SMALL, losses=losses, plan=apart))
    together = trained(
        tmp_path / "together", "plain", replace(SMALL, losses=(losses[0], ComplementObjective(apart=False)))
    )
    first, second, third = weights(own), weights(planned), weights(together)
    assert first.keys() == second.keys() != third.keys()
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert any(name.startswith("optimizer:complement-objective.") for name in first)
    batches = [name for name in first if name.endswith("num_batches_tracked")]
    assert all(int(first[name]) == 2 * int(third[name]) == 12 for name in batches)


def test_a_trained_complement_flattens_the_wrong_classes(tmp_path):
    """Entropy of the softmax over the wrong logits, on the training images, with and without: ln 3 is flat."""
    source = data_set(DATA)
    images = torch.stack([source.preprocessing(source.train.pixels(index)) for index in range(16)])
    labels = torch.tensor(source.train.labels)
    wrong = torch.nn.functional.one_hot(labels, 4) == 0
    entropies = []
    for losses in ((CrossEntropy(),), (CrossEntropy(), ComplementObjective())):
        settings = replace(SMALL, losses=losses, epochs=10, batch_size=4)
        last = weights(trained(tmp_path / str(len(losses)), "plain", settings))
        network = create_network("plain", channels=1, classes=4).eval()
        network.load_state_dict({name[8:]: value for name, value in last.items() if name.startswith("network.")})
        with torch.no_grad():
            logits = network(images)
        assert (logits.argmax(1) == labels).float().mean() > 0.9
        p = logits[wrong].view(16, 3).softmax(1)
        entropies.append(float(-(p * p.log()).sum(1).mean()))
    assert entropies[0] < entropies[1] - 0.2


@pytest.mark.parametrize(
    ("network", "loss", "message"),
    [
        ("abn", AttentionMining(), "this network makes no mining logits, so there is no loss on them; leave it out"),
        ("abn", GuidedAttention(), "this network makes no mining logits, so there is no loss on them; leave it out"),
        (
            "plain",
            ComplementObjective(of="mining_logits"),
            "this network makes no mining logits, so there is no loss on them; leave it out",
        ),
        ("abn", SeededCrossEntropy(), "this network makes no map logits, so there is no loss on it; leave it out"),
        (
            "plain",
            PrototypeConformity(),
            "this network makes no perception pooled, so there is no loss on it; leave it out",
        ),
        (
            "plain",
            HumanKnowledge(gamma=1.0, given="mask"),
            "this network makes no attention map, so there is none to edit; leave this loss out",
        ),
        ("plain", SizeBarrier(), "this network makes no attention map, so there is no loss on it; leave it out"),
        ("plain", ColourAffinity(), "this network makes no attention map, so there is no loss on it; leave it out"),
    ],
)
def test_a_loss_on_what_a_network_does_not_make_is_refused_before_the_first_step(tmp_path, network, loss, message):
    steps = []
    with pytest.raises(TrainingError) as caught:
        trained(tmp_path, network, replace(SMALL, losses=(CrossEntropy(), loss)), progress=lambda *a: steps.append(a))
    assert str(caught.value) == message
    assert steps == []


def test_edited_maps_that_nobody_brings_are_refused(tmp_path):
    with pytest.raises(TrainingError) as caught:
        trained(tmp_path, "abn", replace(SMALL, losses=(*BRANCHES, HumanKnowledge())))
    assert str(caught.value) == "the loss 'human-knowledge' needs edited maps of training images, and there are none"


def test_asking_whether_a_network_mines_leaves_it_as_it_was():
    network = create_network("amb", channels=1, classes=4).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    start = began(network, torch.randn(2, 1, 32, 32), 4)
    for loss in (AttentionMining(), GuidedAttention(), ComplementObjective(of="mining_logits")):
        assert loss.companion(start) is None
    assert "mining_logits" not in vars(start.made.branches)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_every_loss_stands_in_the_documentation():
    text = (ROOT / "docs" / "networks.md").read_text()
    for name in available_losses():
        assert f"| `{name}` |" in text
