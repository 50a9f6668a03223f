"""`explain train --loss NAME:KEY=VALUE,…`: every loss can be typed, joins the network's own, or is refused."""

from __future__ import annotations

import json

import pytest
from explainers.cli.main import main
from loss_case import DATA

from explainers.baselines import (
    AttentionMining,
    ColourAffinity,
    ComplementObjective,
    CrossEntropy,
    GuidedAttention,
    HumanKnowledge,
    PrototypeConformity,
    SaliencyGuided,
    SeededCrossEntropy,
    Settings,
    SizeBarrier,
    available_losses,
    create_loss,
)

TYPED = [
    ("cross-entropy:label-smoothing=0.1", CrossEntropy(label_smoothing=0.1)),
    ("attention-mining", AttentionMining()),
    ("saliency-guided:keep=0.1+0.2,fill=blur", SaliencyGuided(keep=(0.1, 0.2), fill="blur")),
    (
        "prototype-conformity:of=attention_pooled,margin=4,separate=false",
        PrototypeConformity(of="attention_pooled", margin=4, separate=False),
    ),
    ("complement-objective:variant=zeroed,hold-true=true", ComplementObjective(variant="zeroed", hold_true=True)),
    ("human-knowledge:gamma=0.5,given=mask", HumanKnowledge(gamma=0.5, given="mask")),
    ("guided-attention:given=mask,score=logit", GuidedAttention(given="mask", score="logit")),
    ("seeded-cross-entropy:erosion=3", SeededCrossEntropy(erosion=3)),
    ("colour-affinity:weight=1e-8,sigma_rgb=10", ColourAffinity(1e-8, 10)),
    ("size-barrier:t=2", SizeBarrier(t=2)),
]


def test_every_loss_can_be_typed():
    assert {spec.partition(":")[0] for spec, _ in TYPED} == set(available_losses())
    for name in available_losses():
        assert type(create_loss(name)).__name__ == name.title().replace("-", "")


@pytest.mark.parametrize(("spec", "expected"), TYPED)
def test_typed_losses_become_settings(asked, spec, expected):
    assert main(["train", "abn", "--data", DATA, "--out", "RUN", "-q", "--loss", spec]) == 0
    assert asked.settings == Settings(more_losses=(expected,))


def test_a_typed_loss_joins_those_of_the_network_or_takes_the_place_of_its_namesake(tmp_path):
    typed = ["--loss", "size-barrier:weight=0.2", "--loss", "cross-entropy:weight=2", "--loss", "complement-objective"]
    argv = ["train", "abn", "--data", DATA, "--out", str(tmp_path), "--epochs", "1", "--device", "cpu", "-q", *typed]
    assert main([*argv, "--freeze", "features"]) == 0
    told = json.loads((tmp_path / "run.json").read_text())["settings"]
    assert [(loss["name"], loss["weight"]) for loss in told["losses"]] == [
        ("perception", 2),
        ("attention", 1),
        ("size-barrier", 0.2),
        ("complement-objective", 1),
    ]
    assert "more_losses" not in told
    assert [(part["losses"], part["frozen"]) for part in told["plan"]["parts"]] == [
        (["perception", "attention", "size-barrier"], ["features"]),
        (["complement-objective"], ["features"]),
    ]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("size-barier", "no loss 'size-barier'; did you mean size-barrier? available: attention-mining, "),
        ("size-barrier:s=3", "size-barrier has no option s; its options are weight, t, growth, most"),
        (
            "size-barrier:t",
            "--loss 'size-barrier:t'; expected NAME:KEY=VALUE,KEY=VALUE, such as size-barrier:weight=0.2,t=2",
        ),
        ("size-barrier:t=high", "--loss size-barrier:t=high; expected a finite number"),
        (
            "colour-affinity:exact=1",
            "--loss colour-affinity:sigma_xy=100.0, --loss colour-affinity:exact=1; expected positive widths and 2 pixels",
        ),
    ],
)
def test_losses_that_cannot_be_are_refused_before_anything_is_read(tmp_path, capsys, typed, message):
    out = tmp_path / "run"
    assert main(["train", "abn", "--data", DATA, "--out", str(out), "--loss", typed]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()
