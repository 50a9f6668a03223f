"""Trainings of attention mining and guided attention: what they do step by step, leave, survive and refuse."""

from __future__ import annotations

import json
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from child import Child
from safetensors.torch import load_file

import explainers
from explainers.baselines import (
    SGD,
    AdamW,
    Constant,
    Cosine,
    CrossEntropy,
    GuidedAttention,
    Settings,
    alternation,
    amb_losses,
    create_network,
    read_run,
    train,
)
from explainers.baselines.training.loop import seeded
from explainers.baselines.training.run_folder import BEST, LAST, LOG
from explainers.baselines.training.settings.recipes import plan_for, recipe
from explainers.core.maps import upsample
from explainers.data.sets import data_set
from explainers.errors import LayerError, OptionError, TrainingError, UnsupportedError

BIRDS = "birds:size=32,classes=4,train=16,val=8,test=8"
NAMES = ("amb", "gain")
QUICK = Settings(epochs=3, batch_size=8, augment=("flip",), seed=3)


def batch(data, rows):
    images = torch.stack([data.preprocessing(data.train.pixels(row)) for row in rows])
    return images, torch.tensor([data.train.labels[row] for row in rows])


def test_the_recipe_of_amb_is_two_updates_of_each_batch(tmp_path):
    """On all losses but the complement's, then on that of the mining branch, by an optimiser of its own."""
    run = train("amb", BIRDS, tmp_path / "run", replace(QUICK, epochs=1))
    config = run.config["settings"]
    rest = ["perception", "attention", "prototype-conformity", "attention-prototype-conformity"]
    assert [loss["name"] for loss in config["losses"]] == [*rest, "complement-objective"]
    assert config["losses"][-1]["of"] == "mining_logits"
    assert config["plan"]["kind"] == "Together"
    assert [stage["losses"] for stage in config["plan"]["parts"]] == [rest, ["complement-objective"]]
    assert config["plan"]["parts"][1]["optimizer"] == "complement-objective"
    assert run.config["network"]["options"] == {
        "backbone": "small-resnet",
        "threshold": 0.78,
        "mask": "sigmoid",
        "omega": 10.0,
    }


@pytest.mark.parametrize("prototypes", [False, True])
def test_there_is_no_attention_mining_where_there_is_a_complement(prototypes):
    names = [loss.name for loss in amb_losses(prototypes=prototypes, complement=True)]
    mined = [loss.name for loss in amb_losses(prototypes=prototypes, complement=False)]
    assert "attention-mining" not in names
    assert mined == [*names[:-1], "attention-mining"]
    assert ("prototype-conformity" in names) == prototypes
    assert len(plan_for(recipe("amb").plan, amb_losses(complement=False)).updates(0, 0)) == 1


def test_alternation_takes_the_two_updates_in_turn(tmp_path):
    losses = amb_losses(prototypes=False)
    plan = alternation(losses)
    stages = [plan.updates(0, step) for step in range(4)]
    assert [[stage.losses for stage in each] for each in stages] == [
        [("perception", "attention")],
        [("complement-objective",)],
    ] * 2
    assert stages[1][0].optimizer == "complement-objective"
    seen: list[set[str]] = []
    train(
        "amb",
        BIRDS,
        tmp_path / "run",
        replace(QUICK, losses=losses, plan=plan, epochs=1),
        device="cpu",
        progress=lambda *at: seen.append(set(at[3])),
    )
    first = {"loss", "perception", "attention"}
    assert seen == [first, first | {"complement-objective"}]  # two batches: an update of each


def test_a_training_by_hand_gives_the_trainers_weights(tmp_path):
    """AMB + COT with plain SGD, each of the two updates written out with a pass and an optimiser of its own."""
    data = data_set(BIRDS)
    settings = Settings(
        losses=amb_losses(prototypes=False), epochs=1, batch_size=8, optimizer=SGD(lr=0.05), schedule=Constant(), seed=3
    )
    train("amb", data, tmp_path / "run", settings, device="cpu")
    from explainers.baselines.training.batches import batches

    with seeded(3, -1):
        network = create_network("amb", channels=3, classes=4)
    steps = [torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4) for _ in range(2)]
    network.train()
    with seeded(3, 0) as rng:
        for rows in batches(torch.tensor(data.train.labels), 8, "natural", rng):
            images, labels = batch(data, rows)
            made = network.forward_branches(images)
            loss = F.cross_entropy(made.logits, labels) + F.cross_entropy(made.attention_logits, labels)
            network.zero_grad()
            loss.backward()
            steps[0].step()
            h = network.features(images)
            alpha, _, _ = network.attention(h)
            network.head(network.perception(alpha * h))  # counts in batch norm, as the second pass in training mode
            counted = {name: value.clone() for name, value in network.named_buffers()}
            left = h * (1 - (10 * (alpha - 0.78)).sigmoid())
            p = network.head(network.perception(left)).softmax(1)
            wrong = 1 - F.one_hot(labels, 4)
            q = p / (1 - (p * (1 - wrong)).sum(1, keepdim=True) + 1e-7)
            network.zero_grad()
            ((wrong * q * (q + 1e-10).log()).sum() / q.numel()).backward()
            for name, value in network.named_buffers():
                value.copy_(counted[name])  # the mining pass counts nothing
            steps[1].step()
    found = load_file(tmp_path / "run" / LAST)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(found[f"network.{name}"], value, rtol=1e-4, atol=1e-6)


class Stopped(Exception):
    pass


def alike(first: Path, second: Path) -> bool:
    pairs = [(load_file(first / name), load_file(second / name)) for name in (LAST, BEST)]
    return all(one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one) for one, two in pairs)


KILLED = """
import sys
sys.path.insert(0, sys.argv[1])
import time
from test_mining_trainings import BIRDS, QUICK, train
train(sys.argv[2], BIRDS, sys.argv[3], QUICK, device="cpu", progress=lambda *at: time.sleep(0.3 if at[0] == 2 else 0))
"""


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_training_goes_on_to_the_same_weights(name, tmp_path):
    """Killed in the second epoch, which it stays in for a while; weights, centres and both optimisers go on."""
    train(name, BIRDS, tmp_path / "whole", QUICK, device="cpu")
    here, broken = str(Path(__file__).parent), tmp_path / "broken"
    with Child(KILLED, here, name, broken) as process:
        while not (broken / LOG).exists() and not process.ended:
            time.sleep(0.02)
        process.send(signal.SIGKILL)
        assert process.finished().returncode == -signal.SIGKILL
    assert len(read_run(broken).history) == 1
    torch.manual_seed(99)
    train(name, BIRDS, broken, QUICK, device="cpu")
    assert alike(tmp_path / "whole", broken)


@pytest.mark.parametrize("name", NAMES)
def test_sixteen_images_are_learnt_by_heart_and_the_run_is_a_network(name, tmp_path):
    data = data_set(BIRDS)
    data = replace(data, val=data.train, test=None)
    settings = Settings(epochs=30, batch_size=8, optimizer=AdamW(lr=3e-3), schedule=Cosine(), seed=1)
    run = train(name, data, tmp_path / "run", settings, device="cpu")
    assert run.result["val"]["accuracy"] == 1
    loaded = explainers.load_model(tmp_path / "run", device="cpu")
    images, labels = batch(data, range(16))
    assert loaded(images).argmax(1).tolist() == labels.tolist()
    assert type(loaded.network).__name__.lower() == name
    shown = explainers.create("attention", loaded)(images)
    own = loaded.network.eval().forward_branches(images).attention_map.detach()
    torch.testing.assert_close(shown[:, None], upsample(own, (32, 32)))
    assert float(own.flatten(1).std(1).min()) > 0


def test_masks_of_some_images_draw_guided_attention_to_them(tmp_path):
    """After equal trainings with and without; the other images have no say."""
    data = data_set("birds:size=64,classes=4,train=16,val=8,test=8")
    masks = {row: data.train.mask(row) for row in range(0, 16, 2)}
    data.train.mask = masks.get
    settings = Settings(epochs=15, batch_size=8, optimizer=AdamW(lr=2e-3), schedule=Constant(), seed=1)
    images, labels = batch(data, sorted(masks))
    brought = torch.stack([torch.from_numpy(masks[row]).float() for row in sorted(masks)])[:, None]

    def error(loss: GuidedAttention) -> float:
        """Mean squared error between the true classes' maps and the masks averaged over the maps' cells."""
        folder = tmp_path / f"with {loss.given}"
        train("gain", data, folder, replace(settings, losses=(CrossEntropy(), loss)), device="cpu")
        network = create_network("gain", channels=3, classes=4).eval()
        state = load_file(folder / LAST)
        network.load_state_dict({name: state[f"network.{name}"] for name in network.state_dict()})
        made = network.forward_branches(images, classes=labels).attention_map.detach()
        return float((F.adaptive_avg_pool2d(brought, made.shape[2:]) - made).square().mean())

    assert error(GuidedAttention(given="mask")) < 0.5 * error(GuidedAttention())


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", NAMES)
def test_mixed_precision_trains(name, precision, tmp_path):
    run = train(name, BIRDS, tmp_path / "run", replace(QUICK, epochs=1, precision=precision), device="cpu")
    assert {value.dtype for value in load_file(tmp_path / "run" / BEST).values()} <= {torch.float32, torch.int64}
    assert len(run.history) == 1


@pytest.mark.parametrize(
    ("name", "options", "losses", "error", "message"),
    [
        (
            "amb",
            {"backbone": "torchvision:densenet121"},
            None,
            UnsupportedError,
            "DenseNet cannot be cut into features",
        ),
        ("amb", {"mask": "soft"}, None, OptionError, "mask='soft'; expected one of sigmoid, straight-through, hard"),
        ("gain", {"layer": "layer9"}, None, LayerError, 'no layer "layer9" in ResNet; spatial layers are'),
        ("abn", {}, amb_losses(), TrainingError, "this network makes no mining logits, so there is no loss on them"),
    ],
)
def test_what_cannot_be_trained_is_told_before_the_first_step(name, options, losses, error, message, tmp_path):
    steps: list[int] = []
    with pytest.raises(error, match=message):
        train(
            name,
            BIRDS,
            tmp_path / "run",
            replace(QUICK, losses=losses),
            options=options,
            device="cpu",
            progress=lambda *at: steps.append(at[1]),
        )
    assert steps == []


def test_the_command_shows_and_trains_them(tmp_path, capsys):
    from explainers.cli.main import main

    assert main(["networks", "--json"]) == 0
    shown = {row["name"]: row["options"] for row in json.loads(capsys.readouterr().out)}
    assert shown["amb"] == {"backbone": "small-resnet", "threshold": 0.78, "mask": "sigmoid", "omega": 10.0}
    assert shown["gain"] == {"backbone": "small-resnet", "layer": "", "threshold": 0.5, "omega": 10.0}
    out = tmp_path / "run"
    command = ["train", "amb", "--data", BIRDS, "--epochs", "1", "--device", "cpu", "--out", str(out)]
    assert main([*command, "--option", "threshold=0.4", "--option", "mask=hard"]) == 0
    options = json.loads((out / "run.json").read_text())["network"]["options"]
    assert options == {"backbone": "small-resnet", "threshold": 0.4, "mask": "hard", "omega": 10.0}
    network = explainers.load_model(out, device="cpu").network
    assert (network.remainder.threshold, network.remainder.kind) == (0.4, "hard")
