"""The trainer: what it learns, leaves and refuses, and that a killed training ends as an undisturbed one."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from bars_case import ALL, SIZE, SMALL, Stopped, alike, bars, weights
from safetensors.torch import load_file
from torch import nn

import explainers
from explainers.baselines import (
    SGD,
    AdamW,
    Alternating,
    Constant,
    Cosine,
    CrossEntropy,
    Loss,
    Phases,
    Settings,
    Stage,
    Step,
    Throughout,
    train,
)
from explainers.baselines.training.run_folder import BEST
from explainers.errors import OptionError


@pytest.mark.parametrize("network", ["plain", "abn", "labn", "lambda-resnet"])
def test_networks_learn(network, tmp_path):
    run = train(network, bars(240), tmp_path / "run", Settings(epochs=8, batch_size=16, schedule=Cosine()))
    assert run.result["test"]["accuracy"] >= 0.9
    assert run.history[-1]["train_loss"] < 0.5 * run.history[0]["train_loss"]
    loaded = explainers.load_model(tmp_path / "run")
    assert loaded.class_names == ("across", "upright")
    assert loaded.preprocessing == bars().preprocessing
    split = bars().test
    images = torch.stack([loaded.preprocessing(split.pixels(index)) for index in range(len(split))])
    accuracy = float((loaded(images).argmax(1) == torch.tensor(split.labels)).float().mean())
    assert accuracy == pytest.approx(run.result["test"]["accuracy"])
    if network in ("abn", "labn"):
        maps = explainers.create("attention", loaded)(images)
        assert maps.shape == (24, SIZE, SIZE)
        assert 0 <= float(maps.min()) < float(maps.max()) <= 1


def test_training_by_hand_gives_the_trainers_weights(tmp_path):
    """Plain SGD on the batches in their order, written out; the trainer must end with the same weights."""
    from explainers.baselines.networks.registry import create_network
    from explainers.baselines.training.batches import batches
    from explainers.baselines.training.loop import seeded

    data = bars(20)
    settings = Settings(epochs=2, batch_size=8, optimizer=SGD(lr=0.05), schedule=Constant(), seed=3)
    train("plain", data, tmp_path / "run", settings, options=SMALL)
    with seeded(3, -1):
        network = create_network("plain", channels=1, classes=2, **SMALL)
    images = torch.stack([data.preprocessing(data.train.pixels(index)) for index in range(20)])
    labels = torch.tensor(data.train.labels)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    for epoch in range(2):
        with seeded(3, epoch) as rng:
            for rows in batches(labels, 8, "natural", rng):
                network.train()
                loss = nn.functional.cross_entropy(network(images[rows]), labels[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    found = weights(tmp_path / "run")
    for name, value in network.state_dict().items():
        assert torch.equal(found[f"network.{name}"], value), name


def test_seeds_decide_everything_and_nothing_else_does(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        torch.manual_seed(len(name))
        state = torch.get_rng_state()
        train("abn", bars(), tmp_path / name, replace(ALL, epochs=1, seed=seed), options=SMALL)
        assert torch.equal(torch.get_rng_state(), state)
    assert alike(tmp_path / "a", tmp_path / "b")
    assert not alike(tmp_path / "a", tmp_path / "c")


def test_the_log_has_every_loss_by_name_and_the_best_epoch_is_the_one_kept(tmp_path):
    run = train("abn", bars(), tmp_path / "run", replace(ALL, keep_every=1), options=SMALL)
    with (tmp_path / "run" / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    names = {"train_loss", "train_perception", "train_attention", "train_saliency", "val_loss", "val_accuracy", "lr"}
    assert names <= rows[0].keys()
    for row in rows:
        terms = [float(row[f"train_{name}"]) for name in ("perception", "attention", "saliency")]
        assert float(row["train_loss"]) == pytest.approx(terms[0] + terms[1] + 0.5 * terms[2])
    losses = [float(row["val_loss"]) for row in rows]
    best = int(np.argmin(losses)) + 1
    assert run.result["best_epoch"] == best
    kept = load_file(tmp_path / "run" / "epochs" / f"{best:04d}.safetensors")
    final = weights(tmp_path / "run", BEST)
    assert all(torch.equal(kept[name], final[name]) for name in final)
    assert len(list((tmp_path / "run" / "epochs").iterdir())) == 3


def test_the_validation_loss_is_that_of_the_held_out_images(tmp_path):
    data = bars()
    run = train("abn", data, tmp_path / "run", replace(ALL, epochs=1, class_weights=(1.0, 3.0)), options=SMALL)
    network = explainers.load_model(tmp_path / "run").network
    images = torch.stack([data.preprocessing(data.val.pixels(index)) for index in range(len(data.val))])
    labels = torch.tensor(data.val.labels)
    made = network.forward_branches(images)
    share = torch.tensor([1.0, 3.0])
    expected = sum(nn.functional.cross_entropy(each, labels, share) for each in (made.logits, made.attention_logits))
    assert run.history[0]["val_loss"] == pytest.approx(float(expected), rel=1e-5)
    assert run.history[0]["val_accuracy"] == pytest.approx(float((made.logits.argmax(1) == labels).float().mean()))


def test_early_stopping_ends_where_the_validation_loss_has_not_fallen(tmp_path):
    """With a vanishing learning rate and statistics that follow the data the loss stalls soon."""
    settings = Settings(epochs=40, patience=2, optimizer=AdamW(lr=1e-9), schedule=Constant())
    run = train("plain", bars(), tmp_path / "run", settings, options=SMALL)
    losses = [row["val_loss"] for row in run.history]
    assert run.result["stopped_early"]
    assert len(losses) < 40
    assert len(losses) - 1 - int(np.argmin(losses)) == 2


class Recording(Loss):
    """Cross entropy that writes down what it saw."""

    name, weight, validated = "recording", 1.0, True

    def __init__(self) -> None:
        self.seen: list = []

    def __call__(self, step):
        if len(step.images):
            self.seen.append((step.images.clone(), step.labels.clone()))
        return CrossEntropy()(step)

    def settings(self):
        return {"kind": "Recording"}


def test_the_bias_image_is_the_pixelwise_mean_and_joins_with_label_0(tmp_path):
    data, recording = bars(18), Recording()
    settings = Settings(losses=(recording,), epochs=1, batch_size=5, bias_samples=2)
    train("plain", data, tmp_path / "run", settings, options=SMALL)
    images = torch.stack([data.preprocessing(data.train.pixels(index)) for index in range(18)])
    mean = images.double().mean(0).float()
    seen, labels = (torch.cat([each[part] for each in recording.seen]) for part in (0, 1))
    is_bias = torch.tensor([torch.equal(one, mean) for one in seen])
    assert len(seen) == 20
    assert int(is_bias.sum()) == 2
    assert labels[is_bias].tolist() == [0, 0]
    assert sorted(map(float, seen[~is_bias].sum((1, 2, 3)))) == sorted(map(float, images.sum((1, 2, 3))))


def test_balanced_sampling_shows_a_rare_class_as_often(tmp_path):
    data, recording = bars(40, share=0.125), Recording()
    assert sum(data.train.labels) == 5
    settings = Settings(losses=(recording,), epochs=1, batch_size=8, sampling="balanced")
    train("plain", data, tmp_path / "run", settings, options=SMALL)
    assert [int(labels.sum()) for _, labels in recording.seen] == [4] * 5


@pytest.mark.parametrize(
    ("plan", "still"),
    [
        (Throughout(frozen=("features",)), {0: "features", 1: "features"}),
        (Phases(((1, Stage(frozen=("perception", "head"))), (0, Stage()))), {0: "perception", 1: None}),
        (Alternating((Stage(("perception",), ("attention",)), Stage())), {0: "attention", 1: None}),
    ],
)
def test_a_plan_freezes_what_it_says_in_each_epoch(plan, still, tmp_path):
    settings = Settings(epochs=2, keep_every=1, plan=plan, optimizer=AdamW(lr=1e-2, weight_decay=0.1))
    train("abn", bars(), tmp_path / "run", settings, options=SMALL)
    from explainers.baselines.networks.registry import create_network
    from explainers.baselines.training.loop import seeded

    with seeded(0, -1):
        before = create_network("abn", channels=1, classes=2, **SMALL).state_dict()
    for epoch, frozen in still.items():
        after = load_file(tmp_path / "run" / "epochs" / f"{epoch + 1:04d}.safetensors")
        for name in after:
            if frozen is not None and name.startswith(f"{frozen}."):
                assert torch.equal(after[name], before[name]), name
        changed = [name for name in after if not torch.equal(after[name], before[name])]
        assert {name.partition(".")[0] for name in changed} >= {"attention", "perception"} - {frozen}
        before = after


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision_trains_and_resumes(precision, tmp_path):
    settings = Settings(epochs=2, precision=precision)
    train("plain", bars(), tmp_path / "whole", settings, options=SMALL)

    def stop(epoch: int, *_: object) -> None:
        if epoch == 2:
            raise Stopped

    with pytest.raises(Stopped):
        train("plain", bars(), tmp_path / "broken", settings, options=SMALL, progress=stop)
    train("plain", bars(), tmp_path / "broken", settings, options=SMALL)
    assert alike(tmp_path / "whole", tmp_path / "broken")
    assert {value.dtype for value in weights(tmp_path / "whole", BEST).values()} <= {torch.float32, torch.int64}


def test_a_watcher_gets_each_epochs_row_of_the_log(tmp_path):
    rows: list[dict] = []
    run = train("plain", bars(), tmp_path / "run", Settings(epochs=2), options=SMALL, watch=rows.append)
    assert rows == [dict(row) for row in run.history]


class Flatness(Loss):
    """A loss of one's own: the attention map's mean."""

    name, weight = "flatness", 0.25

    def __call__(self, step: Step) -> torch.Tensor:
        return step.made.attention_map.mean()


def test_a_loss_of_ones_own_counts_with_its_weight_and_is_part_of_the_configuration(tmp_path):
    losses = (CrossEntropy(), Flatness())
    run = train("abn", bars(24), tmp_path / "run", Settings(losses=losses, epochs=1), options=SMALL)
    row = run.history[0]
    assert row["train_loss"] == pytest.approx(row["train_perception"] + 0.25 * row["train_flatness"])
    assert "val_flatness" not in row
    heavier = Flatness()
    heavier.weight = 0.5
    with pytest.raises(OptionError, match=r"settings.losses\[1\].weight \(0.25 there, 0.5 now\)"):
        train("abn", bars(24), tmp_path / "run", Settings(losses=(CrossEntropy(), heavier), epochs=1), options=SMALL)
    with pytest.raises(OptionError, match="is no loss; derive its class from explainers.baselines.Loss"):
        Settings(losses=(lambda step: 0,))


def test_tensorboard_gets_every_number(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = train("plain", bars(), tmp_path / "run", Settings(epochs=2), options=SMALL, tensorboard=True)
    events = accumulator.EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    values = [event.value for event in events.Scalars("val/loss")]
    assert values == pytest.approx([row["val_loss"] for row in run.history])


def test_more_than_five_classes_have_a_top5_accuracy(tmp_path):
    data, settings = bars(), replace(ALL, epochs=1, class_weights=None, sampling="natural")
    six = replace(data, class_names=tuple(f"class {number}" for number in range(6)))
    told = train("abn", six, tmp_path / "six", settings, options=SMALL).result
    assert told["val"]["accuracy"] <= told["val"]["top5_accuracy"] <= 1
    assert "top5_accuracy" in told["test"]
    assert "top5_accuracy" not in train("abn", data, tmp_path / "few", settings, options=SMALL).result["val"]
