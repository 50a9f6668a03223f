"""The trainer: what it learns, leaves and refuses, and that a killed training ends as an undisturbed one."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
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
    Flip,
    Loss,
    Phases,
    SaliencyGuided,
    Settings,
    Shift,
    Stage,
    Step,
    Throughout,
    read_run,
    train,
)
from explainers.baselines.training.run_folder import BEST, LAST, RESULT
from explainers.core.preprocessing import Preprocessing
from explainers.data.data_set import DataSet, Split
from explainers.errors import DataError, ImageError, ModelFileError, OptionError, TrainingError

SIZE = 16


@pytest.fixture(autouse=True)
def one_thread():
    """Small tensors: handing them to threads costs more than the work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Bars(Split):
    """Dark images with a bright bar: across in class 0, upright in class 1; noise over all. reads: how often."""

    def __init__(self, count: int, offset: int = 0, share: float = 0.5) -> None:
        self.offset, self.reads = offset, 0
        self.labels = [int((index * share) % 1 + share >= 1) for index in range(count)]
        self.names = [f"{index:03d}.png" for index in range(count)]

    def pixels(self, index: int) -> np.ndarray:
        self.reads += 1
        rng = np.random.default_rng(1000 * self.offset + index)
        image = rng.integers(0, 90, (SIZE, SIZE)).astype(np.uint8)
        place = rng.integers(2, SIZE - 3)
        if self.labels[index]:
            image[:, place : place + 2] = 220
        else:
            image[place : place + 2, :] = 220
        return np.repeat(image[:, :, None], 3, axis=2)


def bars(count: int = 48, share: float = 0.5) -> DataSet:
    preprocessing = Preprocessing(mean=(0.3,), std=(0.25,), channels=1, source="bars")
    return DataSet("bars", ("across", "upright"), preprocessing, Bars(count, 0, share), Bars(24, 1), Bars(24, 2))


SMALL = {"backbone": "small-resnet"}
GUIDED = (CrossEntropy(), CrossEntropy("attention_logits"), SaliencyGuided(keep=(0.3, 0.5), patch=(1, 2)))
ALL = Settings(
    losses=GUIDED,
    epochs=3,
    batch_size=8,
    bias_samples=2,
    augment=(Flip(), Shift(1)),
    class_weights="balanced",
    sampling="balanced",
    clip=1.0,
    seed=5,
)


def weights(folder: Path, name: str = LAST) -> dict[str, torch.Tensor]:
    return load_file(folder / name)


def alike(first: Path, second: Path) -> bool:
    for name in (LAST, BEST):
        one, two = weights(first, name), weights(second, name)
        if one.keys() != two.keys() or not all(torch.equal(one[key], two[key]) for key in one):
            return False
    return True


@pytest.mark.parametrize("network", ["plain", "abn", "labn", "lambda-resnet"])
def test_networks_learn(network, tmp_path):
    run = train(network, bars(240), tmp_path / "run", Settings(epochs=12, batch_size=16, schedule=Cosine()))
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


class Stopped(Exception):
    pass


@pytest.mark.parametrize(("epoch", "step"), [(1, 3), (2, 1), (2, 7), (3, 4)])
def test_a_stopped_training_goes_on_to_the_same_weights(epoch, step, tmp_path):
    train("abn", bars(), tmp_path / "whole", ALL, options=SMALL)

    def stop(at: int, done: int, steps: int, losses: dict) -> None:
        if (at, done) == (epoch, step):
            raise Stopped

    with pytest.raises(Stopped):
        train("abn", bars(), tmp_path / "broken", ALL, options=SMALL, progress=stop)
    torch.manual_seed(99)  # the process that goes on has another history
    run = train("abn", bars(), tmp_path / "broken", ALL, options=SMALL)
    assert alike(tmp_path / "whole", tmp_path / "broken")
    whole = read_run(tmp_path / "whole")
    times = {"seconds", "files"}  # hashes of files that hold times
    assert {k: v for k, v in run.result.items() if k not in times} == {
        k: v for k, v in whole.result.items() if k not in times
    }
    for one, two in zip(run.history, whole.history, strict=True):
        assert {**one, "seconds": 0} == {**two, "seconds": 0}


KILLED = """
import sys
sys.path.insert(0, sys.argv[1])
import torch
torch.set_num_threads(1)
from test_train import ALL, SMALL, bars, train
train("abn", bars(), sys.argv[2], ALL, options=SMALL)
"""


@pytest.mark.parametrize("delay", [0.5, 1.1, 1.8])
def test_a_killed_training_goes_on_to_the_same_weights(delay, tmp_path):
    here = [str(Path(__file__).parent)]
    command = [sys.executable, "-W", "ignore", "-c", KILLED, *here]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, str(tmp_path / "whole")], check=True, env=environment)
    folder = tmp_path / "broken"
    process = subprocess.Popen([*command, str(folder)], env=environment)
    while not (folder / "run.json").exists():  # it has begun
        time.sleep(0.02)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()
    subprocess.run([*command, str(folder)], check=True, env=environment)
    assert alike(tmp_path / "whole", folder)
    assert not list(folder.rglob("*.tmp"))


def test_a_finished_training_is_not_repeated(tmp_path):
    data = bars()
    first = train("plain", data, tmp_path / "run", Settings(epochs=1), options=SMALL)
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").iterdir()}
    data.train.reads = 0
    second = train("plain", data, tmp_path / "run", Settings(epochs=1), options=SMALL)
    assert second == first
    assert data.train.reads == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").iterdir()} == stamps


def test_two_processes_do_not_train_in_one_folder(tmp_path):
    from run_case import held_elsewhere  # not at the top: this file is also imported by processes without tests/

    with held_elsewhere(tmp_path / "run"), pytest.raises(OptionError, match="another process is writing to .*run"):
        train("plain", bars(), tmp_path / "run", Settings(epochs=1), options=SMALL, overwrite=True)
    assert not (tmp_path / "run").exists()


def test_another_configuration_is_refused_and_overwrite_starts_anew(tmp_path):
    train("plain", bars(), tmp_path / "run", Settings(epochs=1), options=SMALL)
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(OptionError) as error:
        train("plain", bars(), tmp_path / "run", Settings(epochs=2, seed=1), options=SMALL)
    assert str(error.value) == (
        f"{tmp_path / 'run'} holds a training that differs in settings.epochs (1 there, 2 now); settings.seed (0 there, 1 "
        "now). Go on with its settings, choose another folder, or remove it with overwrite (--overwrite)"
    )
    run = train("plain", bars(), tmp_path / "run", Settings(epochs=2), options=SMALL, overwrite=True)
    assert len(run.history) == 2
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_more_epochs_go_on_where_no_schedule_counts_them(tmp_path):
    settings = Settings(epochs=1, schedule=Constant(), seed=2)
    train("plain", bars(), tmp_path / "run", settings, options=SMALL)
    train("plain", bars(), tmp_path / "run", replace(settings, epochs=2), options=SMALL)
    train("plain", bars(), tmp_path / "whole", replace(settings, epochs=2), options=SMALL)
    assert alike(tmp_path / "run", tmp_path / "whole")
    train("plain", bars(), tmp_path / "cosine", replace(settings, schedule=Cosine()), options=SMALL)
    with pytest.raises(OptionError, match=r"settings.epochs \(1 there, 2 now\)"):
        train("plain", bars(), tmp_path / "cosine", replace(settings, epochs=2, schedule=Cosine()), options=SMALL)


def test_other_images_are_another_training(tmp_path):
    train("plain", bars(48), tmp_path / "run", Settings(epochs=1), options=SMALL)
    with pytest.raises(OptionError, match=r"data.sha256 .* data.train \(48 there, 50 now\)"):
        train("plain", bars(50), tmp_path / "run", Settings(epochs=1), options=SMALL)


def test_a_folder_is_a_model_only_with_a_training_in_it(tmp_path):
    with pytest.raises(
        ModelFileError, match="is a folder without a training in it \\(no run.json\\); expected photographs, "
    ):
        explainers.load_model(tmp_path)
    train("plain", bars(), tmp_path / "run", Settings(epochs=1), options=SMALL)
    with pytest.raises(ModelFileError, match="brings its weights; drop weights"):
        explainers.load_model(tmp_path / "run", weights="DEFAULT")
    (tmp_path / "run" / RESULT).unlink()
    loaded = explainers.load_model(tmp_path / "run")
    assert loaded.notes == ("the training is not over: best of 1 epochs so far",)
    (tmp_path / "run" / BEST).write_bytes(b"torn")
    with pytest.raises(ModelFileError, match="best.safetensors is no weight file"):
        explainers.load_model(tmp_path / "run")


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


def test_damaged_images_of_every_split_are_found_before_the_first_epoch(tmp_path):
    data = bars(20)
    for split, bad in ((data.train, (3, 7)), (data.test, (1,))):
        whole = split.pixels

        def pixels(index: int, whole=whole, bad=bad, split=split) -> np.ndarray:
            if index in bad:
                raise ImageError(f"{split.names[index]} is damaged")
            return whole(index)

        split.pixels = pixels
    steps: list[int] = []
    settings = Settings(epochs=1, bias_samples=1)  # whose mean image would read them all
    with pytest.raises(ImageError) as error:
        train("plain", data, tmp_path / "run", settings, options=SMALL, progress=lambda *at: steps.append(at[1]))
    assert str(error.value) == (
        "3 images cannot be read: 003.png is damaged; 007.png is damaged; 001.png is damaged. Mend or remove them, then "
        "start the same command again"
    )
    assert steps == []


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


def test_a_loss_that_is_no_number_stops_and_keeps_whole_epochs(tmp_path):
    settings = Settings(epochs=6, optimizer=SGD(lr=1e30), schedule=Constant(), batch_size=8)
    with pytest.raises(TrainingError, match=r"loss( '\w+')? is nan .* epoch \d.*; lower the learning rate"):
        train("plain", bars(), tmp_path / "run", settings, options=SMALL)
    assert (tmp_path / "run" / "run.json").exists()
    assert not (tmp_path / "run" / RESULT).exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(losses=(SaliencyGuided(),), epochs=1), "none of the losses can be validated; add a CrossEntropy"),
        (
            Settings(class_weights=(1.0,), epochs=1),
            "class_weights=(1.0,); expected 2 positive numbers, one for each class",
        ),
        (
            Settings(plan=Throughout(losses=("attention",)), epochs=1),
            "the plan asks for losses ('attention',); there are perception",
        ),
        (
            Settings(plan=Throughout(frozen=("backbone",)), epochs=1),
            "frozen='backbone' (--freeze backbone): no part of the network is called so; there are stem, layer1, layer2, "
            "layer3, layer4, pool, fc",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message, tmp_path):
    with pytest.raises(OptionError) as error:
        train("plain", bars(), tmp_path / "run", settings, options=SMALL)
    assert str(error.value) == message


def test_images_of_different_sizes_are_refused(tmp_path):
    data = bars()
    data = replace(data, preprocessing=replace(data.preprocessing, resize=24))
    pixels = data.train.pixels
    data.train.pixels = lambda index: pixels(index)[: SIZE - (index == 3) * 4]
    with pytest.raises(DataError, match=r"003.png gives an input of \(1, 24, 32\), 000.png one of \(1, 24, 24\)"):
        train("plain", data, tmp_path / "run", Settings(epochs=1), options=SMALL)


def test_the_configuration_is_plain_json(tmp_path):
    train("abn", bars(), tmp_path / "run", ALL, options=SMALL)
    config = json.loads((tmp_path / "run" / "run.json").read_text())
    assert config["network"] == {
        "name": "abn",
        "channels": 1,
        "classes": 2,
        "options": {"backbone": "small-resnet", "bypass": True},
        "weights": None,
    }
    assert [loss["kind"] for loss in config["settings"]["losses"]] == ["CrossEntropy", "CrossEntropy", "SaliencyGuided"]
    assert config["settings"]["seed"] == 5


def test_a_training_that_wrote_down_only_what_was_asked_for_goes_on(tmp_path):
    """As before all options were written down; an option that was not asked for was the default."""
    out, settings = tmp_path / "run", replace(ALL, epochs=2)
    train("abn", bars(), out, replace(settings, epochs=1, schedule=Constant()), options=SMALL)
    config = json.loads((out / "run.json").read_text())
    del config["network"]["options"]["bypass"]
    (out / "run.json").write_text(json.dumps(config))
    with pytest.raises(OptionError, match=r"network.options.bypass \(True there, False now\)"):
        train("abn", bars(), out, replace(settings, epochs=1, schedule=Constant()), options={**SMALL, "bypass": False})
    run = train("abn", bars(), out, replace(settings, schedule=Constant()), options=SMALL)
    assert len(run.history) == 2


def test_which_weights_are_kept_may_change_when_a_training_goes_on(tmp_path):
    out, constant = tmp_path / "run", replace(ALL, schedule=Constant())
    train("abn", bars(), out, replace(constant, epochs=1), options=SMALL)
    train("abn", bars(), out, replace(constant, epochs=3, keep_every=2), options=SMALL)
    assert [path.name for path in (out / "epochs").iterdir()] == ["0002.safetensors"]
    train("abn", bars(), tmp_path / "undisturbed", replace(constant, epochs=3), options=SMALL)
    assert alike(out, tmp_path / "undisturbed")
    assert json.loads((out / "run.json").read_text())["settings"]["keep_every"] == 2
    train("abn", bars(), out, replace(constant, epochs=3), options=SMALL)
    assert json.loads((out / "run.json").read_text())["settings"]["keep_every"] is None


def test_more_than_five_classes_have_a_top5_accuracy(tmp_path):
    data, settings = bars(), replace(ALL, epochs=1, class_weights=None, sampling="natural")
    six = replace(data, class_names=tuple(f"class {number}" for number in range(6)))
    told = train("abn", six, tmp_path / "six", settings, options=SMALL).result
    assert told["val"]["accuracy"] <= told["val"]["top5_accuracy"] <= 1
    assert "top5_accuracy" in told["test"]
    assert "top5_accuracy" not in train("abn", data, tmp_path / "few", settings, options=SMALL).result["val"]
