"""`explain train`, `explain networks`, and `explain` and `explain evaluate` on what a training leaves."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from explainers.cli.main import main

import explainers.baselines
from explainers.baselines import (
    SGD,
    AdamW,
    Constant,
    Cosine,
    CrossEntropy,
    Milestones,
    SaliencyGuided,
    Settings,
    Throughout,
    available_networks,
)
from explainers.baselines.networks import network_entry, network_options
from explainers.data.images import read_image, write_image
from explainers.data.sets import data_set
from explainers.data.written import write_split

DATA = "magnetogram:size=32,train=48,val=16,test=16"
TINY = ["--batch-size", "16", "--device", "cpu"]
FILES = {"run.json", "last.safetensors", "best.safetensors", "log.csv", "result.json"}
HEADS = (CrossEntropy(), CrossEntropy("attention_logits"))


def command(out, *more, network="abn", data=DATA):
    return ["train", network, "--data", data, "--out", str(out), *TINY, *more]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def identity(data: str) -> dict[str, object]:
    """What run.json tells of generated data, written out again."""
    found = data_set(data)
    digest = hashlib.sha256()
    for name in ("train", "val", "test"):
        split = getattr(found, name)
        for image, label in zip(split.names, split.labels, strict=True) if split else ():
            digest.update(f"{name} {image} {label}\n".encode())
    counts = {name: len(getattr(found, name) or ()) for name in ("train", "val", "test")}
    return {"spec": data, **counts, "sha256": digest.hexdigest()}


def images_of(out: Path) -> Path:
    """Where an evaluation wrote its images: one folder for one choice of them."""
    (folder,) = (out / "test").iterdir()
    assert re.fullmatch("[0-9a-f]{8}", folder.name)
    return folder


def taken(split, count, label=None) -> list[str]:
    """Names of the images that an evaluation takes: the slow way, one image after the other, as they are taken."""
    left = {
        own: sorted(
            (name for name, each in zip(split.names, split.labels, strict=True) if each == own),
            key=lambda name: hashlib.sha256(name.encode()).hexdigest(),
        )
        for own in sorted(set(split.labels))
        if label in (None, own)
    }
    order = []
    while any(left.values()):
        order += [names.pop(0) for names in left.values() if names]
    return order[:count]


def ended(run: Path) -> str:
    """What is noted of a training that was over before."""
    return f"explain: note: the training in {run} has ended before; these are its results unless it has more epochs\n"


def config(run: Path):
    return json.loads((run / "run.json").read_text())


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A training of two epochs; tests leave it as it is."""
    out = tmp_path_factory.mktemp("trained") / "RUN"
    assert main(command(out, "--epochs", "2", "-q")) == 0
    return out


def outcome(balanced=0.9, **changes):
    """A result.json that nobody trained for."""
    scores = {"loss": 0.5, "accuracy": 0.9, "balanced_accuracy": balanced}
    return {"best_epoch": 1, "epochs": 1, "stopped_early": False, "seconds": 1.0, "val": scores, **changes}


@pytest.fixture
def pretended(monkeypatch):
    """Makes the trainer return a result without training."""

    def pretend(result):
        monkeypatch.setattr(
            explainers.baselines,
            "train",
            lambda network, data, out, settings, **more: SimpleNamespace(folder=Path(out), result=result),
        )

    return pretend


@pytest.fixture
def asked(monkeypatch):
    """What the command asks the trainer for, which does not train."""
    found = SimpleNamespace()

    def fake(network, data, out, settings, **more):
        found.__dict__.update(network=network, data=data, out=out, settings=settings, **more)
        return SimpleNamespace(folder=Path(out), result=outcome())

    monkeypatch.setattr(explainers.baselines, "train", fake)
    return found


def test_training_writes_its_files_and_tells_the_scores(tmp_path, capsys):
    out = tmp_path / "RUN"
    assert main(command(out, "--epochs", "2")) == 0
    printed = capsys.readouterr()
    assert {path.name for path in out.iterdir()} == FILES
    result = json.loads((out / "result.json").read_text())
    lines = printed.out.splitlines()
    log = table(out / "log.csv")
    best = min(log, key=lambda row: float(row["val_loss"]))
    assert result["best_epoch"] == int(best["epoch"])
    assert re.fullmatch(rf"best epoch {best['epoch']} of 2, in \d+ s", lines[0])
    for line, split in ((lines[1], "val"), (lines[2], "test")):
        values = result[split]
        assert line == (
            f"{split:<5}loss {values['loss']:.4g}, accuracy {values['accuracy']:.4g}, balanced accuracy "
            f"{values['balanced_accuracy']:.4g}, tss {values['tss']:.4g}"
        )
    assert lines[3:] == [f"run  {out}", f"next explain evaluate {out}, explain photos/ --model {out}"]
    assert [row["epoch"] for row in log] == ["1", "2"]
    assert config(out)["network"]["name"] == "abn"
    assert config(out)["data"] == identity(DATA)
    told = [line for line in printed.err.splitlines() if not line.startswith("explain: note: ")]
    assert told == [
        f"explain: epoch {row['epoch']}: loss {float(row['train_loss']):.4f}, validation loss "
        f"{float(row['val_loss']):.4f}, accuracy {float(row['val_accuracy']):.3f}, {float(row['seconds']):.1f} s"
        for row in log
    ]


@pytest.mark.parametrize("flag", ["-q", "--json"])
def test_quiet_and_json_have_no_line_for_an_epoch(tmp_path, capsys, flag):
    small = "magnetogram:size=32,train=16,val=8,test=0"
    assert main(command(tmp_path / "RUN", "--epochs", "1", flag, network="plain", data=small)) == 0
    assert "epoch 1" not in capsys.readouterr().err


@pytest.mark.parametrize(("early", "end"), [(False, ""), (True, ", stopped early")])
def test_the_best_epoch_is_told_as_it_is_counted_in_the_files(pretended, tmp_path, capsys, early, end):
    pretended(outcome(best_epoch=3, epochs=7, seconds=12.4, stopped_early=early))
    assert main(command(tmp_path / "RUN")) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"best epoch 3 of 7, in 12 s{end}"


@pytest.mark.parametrize(("balanced", "noted"), [(0.4, True), (0.52, True), (0.53, False), (1.0, False)])
def test_a_training_that_learned_nothing_is_noted(pretended, tmp_path, capsys, balanced, noted):
    pretended(outcome(balanced))
    assert main(command(tmp_path / "RUN")) == 0
    told = "explain: note: the validation images are classified no better than by guessing; its maps mean nothing yet\n"
    assert capsys.readouterr().err == (told if noted else "")
    assert main(command(tmp_path / "RUN", "-q")) == 0
    assert capsys.readouterr().err == ""


def test_guessing_among_three_classes_is_right_for_every_third_image(pretended, tmp_path, capsys):
    photos = three_classes(tmp_path / "photos")
    for balanced, noted in ((0.35, True), (0.36, False)):
        pretended(outcome(balanced))
        assert main(command(tmp_path / "RUN", data=f"folder:{photos}")) == 0
        assert ("no better than by guessing" in capsys.readouterr().err) == noted


def test_tss_is_told_and_kept_for_two_classes_alone(run, tmp_path, capsys):
    out, data = tmp_path / "RUN", f"folder:{three_classes(tmp_path / 'photos')}"
    assert main(command(out, "--epochs", "1", "-q", "--size", "16x16", network="plain", data=data)) == 0
    text = (out / "result.json").read_text()
    assert "null" not in text + (run / "result.json").read_text()
    for split in ("val", "test"):
        assert json.loads(text)[split].keys() == {"loss", "accuracy", "balanced_accuracy"}
        assert "tss" in json.loads((run / "result.json").read_text())[split]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["best", "val", "test", "run", "next"]
    assert not any("tss" in line for line in lines[:3])


def test_the_same_command_does_nothing_more_and_tells_the_same(run, capsys):
    before = {path.name: path.stat().st_mtime_ns for path in run.iterdir()}
    assert main(command(run, "--epochs", "2")) == 0
    first = capsys.readouterr()
    assert {path.name: path.stat().st_mtime_ns for path in run.iterdir()} == before
    assert first.out.startswith(f"best epoch {json.loads((run / 'result.json').read_text())['best_epoch']} of 2, in ")
    assert first.err.startswith(ended(run))
    assert "explain: epoch" not in first.err
    assert main(command(run, "--epochs", "2", "-q")) == 0
    quiet = capsys.readouterr()
    assert (quiet.out, quiet.err) == (first.out, "")


def test_a_training_that_was_interrupted_is_told_to_go_on(run, tmp_path, capsys):
    out = tmp_path / "RUN"
    shutil.copytree(run, out)
    (out / "result.json").unlink()
    assert main(command(out, "--epochs", "2")) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith(f"explain: note: {out} has 2 whole epochs; going on from there\n")
    assert (out / "result.json").read_text() == (run / "result.json").read_text()
    assert main(command(out, "--epochs", "2", "-q", "--overwrite")) == 0
    assert capsys.readouterr().err == ""


def test_json_is_the_result_and_nothing_else(run, capsys):
    assert main(command(run, "--epochs", "2", "--json")) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"run": str(run), **json.loads((run / "result.json").read_text())}
    assert printed.err == ended(run)


def test_more_epochs_go_on_where_the_schedule_does_not_count_them(tmp_path, capsys):
    small = "magnetogram:size=32,train=16,val=8,test=0"
    for schedule, code in (("plateau", 0), ("constant", 0), ("cosine", 2), ("milestones", 2)):
        out = tmp_path / schedule
        flags = ["--schedule", schedule, "-q"]
        assert main(command(out, "--epochs", "1", *flags, network="plain", data=small)) == 0
        first = table(out / "log.csv")
        capsys.readouterr()
        assert main(command(out, "--epochs", "2", *flags, network="plain", data=small)) == code
        printed = capsys.readouterr()
        assert table(out / "log.csv")[:1] == first  # not trained again
        if code == 0:
            assert re.match(r"best epoch [12] of 2, in ", printed.out)
            assert [row["epoch"] for row in table(out / "log.csv")] == ["1", "2"]
            assert (config(out)["settings"]["epochs"], len(table(out / "log.csv"))) == (2, 2)
        else:
            assert "holds a training that differs in settings.epochs (1 there, 2 now). " in printed.err
            assert (config(out)["settings"]["epochs"], len(table(out / "log.csv"))) == (1, 1)


def test_data_is_the_same_from_another_folder_and_another_when_an_image_is(tmp_path, capsys, monkeypatch):
    photos, out = class_folders(tmp_path / "photos"), tmp_path / "RUN"
    argv = ["--epochs", "1", "-q", "--size", "16x16"]
    assert main(command(out, *argv, network="plain", data=f"folder:{photos}")) == 0
    assert config(out)["data"]["spec"] == f"folder:{photos.resolve()}"
    stamp = (out / "last.safetensors").stat().st_mtime_ns
    monkeypatch.chdir(tmp_path)
    assert main(command(out, *argv, network="plain", data="folder:photos")) == 0
    photos.rename(tmp_path / "moved")
    assert main(command(out, *argv, network="plain", data="folder:moved")) == 0
    assert (out / "last.safetensors").stat().st_mtime_ns == stamp
    (tmp_path / "moved" / "train" / "0" / "0.png").rename(tmp_path / "moved" / "train" / "0" / "00.png")
    capsys.readouterr()
    assert main(command(out, *argv, network="plain", data="folder:moved")) == 2
    told = re.escape(f"explain: error: {out} holds a training that differs in data.sha256 ('")
    assert re.match(told + r"[0-9a-f]{64}' there, '[0-9a-f]{64}' now\)\. Go on", capsys.readouterr().err)


def test_another_setting_is_refused_and_leaves_the_training(run, capsys):
    before = {path.name: path.stat().st_mtime_ns for path in run.iterdir()}
    assert main(command(run, "--epochs", "3", "--lr", "0.01")) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (
        f"{ended(run)}explain: error: {run} holds a training that differs in settings.epochs (2 there, 3 now); "
        "settings.optimizer.lr (0.001 there, 0.01 now). Go on with its settings, choose another folder, or remove it "
        "with overwrite (--overwrite)\n"
    )
    assert {path.name: path.stat().st_mtime_ns for path in run.iterdir()} == before


def test_overwrite_keeps_the_notes_beside_a_training(tmp_path):
    out, small = tmp_path / "RUN", "magnetogram:size=32,train=16,val=8,test=0"
    assert main(command(out, "--epochs", "1", "-q", network="plain", data=small)) == 0
    (out / "notes.txt").write_text("mine")
    assert main(command(out, "--epochs", "1", "-q", "--seed", "1", "--overwrite", network="plain", data=small)) == 0
    assert config(out)["settings"]["seed"] == 1
    assert {path.name for path in out.iterdir()} == {*FILES, "notes.txt"}


def test_a_mistyped_part_can_be_corrected_by_the_next_command(tmp_path, capsys):
    out, small = tmp_path / "RUN", "magnetogram:size=32,train=16,val=8,test=0"
    assert main(command(out, "--epochs", "1", "--freeze", "featurs", data=small)) == 2
    assert capsys.readouterr().err == (
        "explain: error: frozen='featurs': no part of the network is called so; there are features, attention, gate, "
        "perception, head\n"
    )
    assert main(command(out, "--epochs", "1", "-q", "--freeze", "features", data=small)) == 0
    assert config(out)["settings"]["plan"]["frozen"] == ["features"]


def test_settings_that_are_found_wrong_after_the_start_can_be_corrected(tmp_path, capsys):
    out, small = tmp_path / "RUN", "magnetogram:size=32,train=16,val=8,test=0"
    assert main(command(out, "--epochs", "1", "--class-weights", "1,2,3", network="plain", data=small)) == 2
    assert "class_weights=(1.0, 2.0, 3.0); expected 2 positive numbers" in capsys.readouterr().err
    assert main(command(out, "--epochs", "1", "-q", "--class-weights", "1,2", network="plain", data=small)) == 0
    assert config(out)["settings"]["class_weights"] == [1.0, 2.0]


def test_data_without_test_images_gives_no_test_scores(tmp_path, capsys):
    out, small = tmp_path / "RUN", "magnetogram:size=32,train=16,val=8,test=0"
    argv = ["--epochs", "1", "--keep-every", "1", "-q"]
    assert main(command(out, *argv, network="plain", data=small)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["best", "val", "run", "next"]
    assert [path.name for path in (out / "epochs").iterdir()] == ["0001.safetensors"]


def test_progress_names_the_losses(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("explainers.cli.progress.EVERY", -1.0)
    out, small = tmp_path / "RUN", "magnetogram:size=32,train=32,val=8,test=0"
    assert main(command(out, "--epochs", "1", data=small)) == 0
    number = r"\d+\.\d{3}"
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("explain: note: ")]
    assert len(lines) == 3
    assert lines[2].startswith("explain: epoch 1: loss ")
    for step, line in enumerate(lines[:2], 1):
        losses = f"loss {number} perception {number} attention {number}"
        assert re.fullmatch(rf"explain: epoch 1, step {step} of 2, {losses}", line)


@pytest.mark.parametrize(
    ("network", "typed", "expected"),
    [
        ("abn", [], Settings(losses=HEADS)),
        ("plain", [], Settings(losses=HEADS[:1])),
        ("abn", ["--epochs", "7", "--patience", "3"], Settings(losses=HEADS, epochs=7, patience=3)),
        (
            "abn",
            ["--attention-weight", "0.5", "--label-smoothing", "0.1"],
            Settings(losses=(CrossEntropy("logits", 1.0, 0.1), CrossEntropy("attention_logits", 0.5, 0.1))),
        ),
        ("abn", ["--attention-weight", "0"], Settings(losses=HEADS[:1])),
        ("labn", ["--sgt"], Settings(losses=(*HEADS, SaliencyGuided()))),
        (
            "labn",
            [
                *["--sgt", "--sgt-weight", "0.25", "--keep", "0.2", "--patch", "4", "--rank", "gradient"],
                *["--fill", "blur", "--bias-samples", "3"],
            ],
            Settings(
                losses=(*HEADS, SaliencyGuided(weight=0.25, keep=0.2, patch=4, rank="gradient", fill="blur")),
                bias_samples=3,
            ),
        ),
        (
            "plain",
            ["--sgt", "--keep", "0.1,0.3", "--patch", "2,8"],
            Settings(losses=(CrossEntropy(), SaliencyGuided(keep=(0.1, 0.3), patch=(2, 8)))),
        ),
        ("plain", ["--class-weights", "balanced"], Settings(losses=HEADS[:1], class_weights="balanced")),
        ("plain", ["--class-weights", "1,2.5"], Settings(losses=HEADS[:1], class_weights=(1.0, 2.5))),
        ("plain", ["--sampling", "balanced"], Settings(losses=HEADS[:1], sampling="balanced")),
        (
            "plain",
            ["--augment", "shift", "--augment", "flip"],
            Settings(losses=HEADS[:1], augment=("shift", "flip")),
        ),
        (
            "abn",
            ["--freeze", "features", "--freeze", "head"],
            Settings(losses=HEADS, plan=Throughout(frozen=("features", "head"))),
        ),
        ("plain", ["--optimizer", "sgd"], Settings(losses=HEADS[:1], optimizer=SGD())),
        (
            "plain",
            ["--optimizer", "sgd", "--lr", "0.3", "--weight-decay", "0"],
            Settings(losses=HEADS[:1], optimizer=SGD(lr=0.3, weight_decay=0.0)),
        ),
        ("plain", ["--lr", "0.2"], Settings(losses=HEADS[:1], optimizer=AdamW(lr=0.2))),
        ("plain", ["--schedule", "cosine"], Settings(losses=HEADS[:1], schedule=Cosine())),
        ("plain", ["--schedule", "milestones"], Settings(losses=HEADS[:1], schedule=Milestones())),
        ("plain", ["--schedule", "constant"], Settings(losses=HEADS[:1], schedule=Constant())),
        (
            "plain",
            ["--precision", "bfloat16", "--clip", "1.5", "--keep-every", "2", "--seed", "9"],
            Settings(losses=HEADS[:1], precision="bfloat16", clip=1.5, keep_every=2, seed=9),
        ),
    ],
)
def test_flags_become_settings(asked, network, typed, expected):
    assert main(["train", network, "--data", DATA, "--out", "RUN", "-q", *typed]) == 0
    assert asked.settings == expected


def test_network_options_device_and_preprocessing_reach_the_trainer(asked):
    argv = ["--backbone", "cifar-resnet20", "--option", "bypass=false", "--device", "cpu", "--size", "40x48"]
    more = ["--crop", "32", "--mean", "0.4", "--std", "0.2", "--tensorboard", "--overwrite", "--weights", "w.pt"]
    assert main(["train", "abn", "--data", DATA, "--out", "RUN", "-q", *argv, *more]) == 0
    assert asked.options == {"backbone": "cifar-resnet20", "bypass": False}
    assert (asked.network, asked.out, asked.device, asked.weights) == ("abn", "RUN", "cpu", "w.pt")
    assert asked.tensorboard
    assert asked.overwrite
    made = asked.data.preprocessing
    assert (made.resize, made.crop, made.mean, made.std, made.channels) == ((40, 48), (32, 32), (0.4,), (0.2,), 1)
    assert asked.data.spec == DATA


@pytest.mark.parametrize(
    ("typed", "resize", "crop"),
    [
        ([], 72, (64, 64)),
        (["--size", "40"], 40, (40, 40)),
        (["--size", "40x48"], (40, 48), (40, 48)),
        (["--size", "40", "--crop", "32"], 40, (32, 32)),
        (["--size", "40", "--crop", "40"], 40, (40, 40)),
        (["--crop", "32"], 72, (32, 32)),
    ],
)
def test_size_alone_is_the_networks_input_where_the_data_has_a_crop(asked, monkeypatch, typed, resize, crop):
    whole = data_set(DATA)
    cropped = replace(whole, preprocessing=replace(whole.preprocessing, resize=72, crop=(64, 64)))
    monkeypatch.setattr("explainers.data.sets.data_set", lambda spec: cropped)
    assert main(["train", "plain", "--data", DATA, "--out", "RUN", "-q", *typed]) == 0
    made = asked.data.preprocessing
    assert (made.resize, made.crop) == (resize, crop)


@pytest.mark.parametrize("typed", [["--size", "40x30"], ["--size", "30x40"], ["--size", "31"]])
def test_a_crop_larger_than_either_side_of_the_size_is_refused(asked, capsys, typed):
    assert main(["train", "plain", "--data", DATA, "--out", "RUN", *typed, "--crop", "32"]) == 2
    assert "the crop is larger than what it is cut from" in capsys.readouterr().err
    assert vars(asked) == {}


def test_what_is_typed_reaches_the_training(tmp_path):
    out, small = tmp_path / "RUN", "magnetogram:size=32,train=24,val=8,test=8"
    flags = ["--sgt", "--fill", "mean", "--class-weights", "1,3", "--augment", "flip", "--freeze", "features"]
    more = ["--option", "threshold=0.1", "--option", "scope=3", "--bias-samples", "2", "--sampling", "balanced"]
    assert main(command(out, "--epochs", "1", "-q", *flags, *more, network="labn", data=small)) == 0
    written = config(out)
    expected = Settings(
        losses=(*HEADS, SaliencyGuided(fill="mean")),
        plan=Throughout(frozen=("features",)),
        epochs=1,
        batch_size=16,
        class_weights=(1.0, 3.0),
        sampling="balanced",
        augment=("flip",),
        bias_samples=2,
    )
    assert written["settings"] == expected.describe()
    assert written["network"]["options"] == {"threshold": 0.1, "scope": 3}
    (row,) = table(out / "log.csv")
    assert {"train_perception", "train_attention", "train_saliency"} <= row.keys()


@pytest.mark.parametrize(
    ("network", "typed", "message"),
    [
        (
            "abn",
            ["--keep", "0.2"],
            "without --sgt there is no saliency guided training, and nothing for --keep to set",
        ),
        (
            "abn",
            ["--sgt-weight", "1", "--patch", "4", "--rank", "attention", "--fill", "black"],
            "without --sgt there is no saliency guided training, and nothing for --sgt-weight, --patch, --rank, --fill "
            "to set",
        ),
        ("plain", ["--attention-weight", "0.5"], "--attention-weight: plain has no attention branch"),
        (
            "abm",
            [],
            "no network 'abm'; did you mean abn? available: abn, labn, lambda-resnet, plain",
        ),
        ("abn", ["--option", "threshold=0.5"], "abn has no option threshold; its options are backbone, bypass"),
        ("abn", ["--option", "bypass"], "--option 'bypass'; expected KEY=VALUE, such as threshold=0.75"),
        ("abn", ["--augment", "flop"], "no augmentation 'flop'; there are flip, vertical-flip, shift"),
        ("abn", ["--class-weights", "evenly"], "--class-weights 'evenly'; expected numbers such as 1,5, or balanced"),
        ("abn", ["--class-weights", "1"], "class_weights=(1.0,); expected 2 positive numbers, one for each class"),
        ("abn", ["--epochs", "0"], "epochs=0; expected a whole number of at least 1"),
        (
            "abn",
            ["--lr", "0"],
            "lr=0.0, parts={}, weight_decay=0.01; expected learning rates above 0 and a weight decay of at least 0",
        ),
        ("abn", ["--sgt", "--keep", "some"], "--keep 'some'; expected numbers such as 0.1 or 0.1,0.2"),
        ("abn", ["--sgt", "--patch", "some"], "--patch 'some'; expected numbers such as 4 or 4,8"),
        ("abn", ["--sgt", "--patch", "2.5"], "--patch 2.5; expected whole numbers of pixels"),
        ("abn", ["--sgt", "--patch", "4,2.5"], "--patch 4,2.5; expected whole numbers of pixels"),
        ("abn", ["--sgt", "--patch", "inf"], "--patch inf; expected whole numbers of pixels"),
        ("abn", ["--sgt", "--patch", "nan"], "--patch nan; expected whole numbers of pixels"),
        ("abn", ["--sgt", "--sgt-weight", "-1"], "weight=-1.0; expected no negative weight"),
        (
            "abn",
            ["--attention-weight", "-1"],
            "label_smoothing=0.0, weight=-1.0; expected 0 … 1, and no negative weight",
        ),
        (
            "abn",
            ["--label-smoothing", "2"],
            "label_smoothing=2.0, weight=1.0; expected 0 … 1, and no negative weight",
        ),
        ("abn", ["--clip", "0"], "clip=0.0; expected a positive norm, or None for no clipping"),
        ("abn", ["--sgt", "--keep", "1.5"], "keep=1.5; expected shares between 0 and 1"),
        ("abn", ["--sgt", "--rank", "luck"], "rank='luck'; expected one of auto, attention, gradient, magnitude"),
        ("abn", ["--device", "tpu"], "device='tpu'; expected auto, cpu, cuda, cuda:N or mps"),
        ("labn", ["--option", "threshold=2"], "threshold=2; expected at least 0 and below 1"),
        ("abn", ["--option", "bypass=no"], "abn: bypass='no'; expected true or false, such as True"),
        ("abn", ["--option", "bypass=0"], "abn: bypass=0; expected true or false, such as True"),
        ("labn", ["--option", "threshold=high"], "labn: threshold='high'; expected float, such as 0.0"),
        ("labn", ["--option", "scope=2.5"], "labn: scope=2.5; expected int, such as 23"),
        ("labn", ["--option", "heads=true"], "labn: heads=True; expected int, such as 4"),
        (
            "plain",
            ["--size", "24", "--crop", "32"],
            "--size 24 and --crop 32x32: the crop is larger than what it is cut from, and the rest would be black; "
            "give a smaller --crop or a larger --size",
        ),
    ],
)
def test_mistakes_cost_one_line_and_code_two(tmp_path, capsys, network, typed, message):
    small = "magnetogram:size=32,train=16,val=8,test=0"
    assert main(["train", network, "--data", small, "--out", str(tmp_path / "RUN"), "--epochs", "1", *typed]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"explain: error: {message}")
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("magnetgram", "no data set 'magnetgram'; did you mean magnetogram[:KEY=VALUE,…]? available: "),
        ("magnetogram:sise=32", "magnetogram:sise=32: 'sise=32' is no setting; they are size, "),
        ("folder:/no/such/place", "folder:/no/such/place: no folder /no/such/place"),
    ],
)
def test_unknown_data_is_refused(tmp_path, capsys, spec, message):
    assert main(command(tmp_path / "RUN", data=spec)) == 2
    assert capsys.readouterr().err.startswith(f"explain: error: {message}")
    assert not (tmp_path / "RUN").exists()


@pytest.mark.parametrize("argv", [["train"], ["train", "abn"], ["train", "abn", "--data", DATA, "--out", "x", "--o"]])
def test_bad_usage_is_code_two(argv, capsys):
    assert main(argv) == 2
    assert "usage: explain" in capsys.readouterr().err


def test_a_folder_of_other_files_is_refused(tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("years")
    assert main(command(tmp_path, "--overwrite")) == 2
    assert capsys.readouterr().err == (
        f"explain: error: {tmp_path} is not empty and holds no training; choose another folder\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def toml(tmp_path, text):
    (tmp_path / "c.toml").write_text(text)
    return ["--config", str(tmp_path / "c.toml")]


def test_a_config_file_gives_what_was_not_typed(asked, tmp_path):
    text = 'epochs = 4\nlr = 0.5\noptimizer = "sgd"\naugment = ["flip", "shift"]\nfreeze = "features"\nsgt = true\n'
    text += (
        'keep = "0.2"\nclass-weights = [1, 2]\nbackbone = "cifar-resnet20"\noption = ["bypass=false"]\nquiet = true\n'
    )
    argv = ["train", "abn", "--data", DATA, "--out", "RUN", *toml(tmp_path, text), "--epochs", "9"]
    assert main(argv) == 0
    assert asked.settings == Settings(
        losses=(*HEADS, SaliencyGuided(keep=0.2)),
        optimizer=SGD(lr=0.5),
        plan=Throughout(frozen=("features",)),
        epochs=9,
        class_weights=(1.0, 2.0),
        augment=("flip", "shift"),
    )
    assert asked.options == {"bypass": False, "backbone": "cifar-resnet20"}


def test_a_zero_that_is_typed_wins_over_the_config_file(asked, tmp_path):
    text = "seed = 5\nbias-samples = 3\nattention-weight = 0.5\nlabel-smoothing = 0.2\nquiet = true\n"
    argv = ["train", "abn", "--data", DATA, "--out", "RUN", *toml(tmp_path, text)]
    zeros = ["--seed", "0", "--bias-samples", "0", "--attention-weight", "0", "--label-smoothing", "0"]
    assert main([*argv, *zeros]) == 0
    assert asked.settings == Settings(losses=HEADS[:1])


def test_a_number_of_a_config_file_stands_for_a_list_of_one(asked, tmp_path):
    text = "sgt = true\nkeep = 0.2\npatch = 4\nquiet = true\n"
    assert main(["train", "plain", "--data", DATA, "--out", "RUN", *toml(tmp_path, text)]) == 0
    assert asked.settings.losses == (CrossEntropy(), SaliencyGuided(keep=0.2, patch=4))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("epoch = 3", "no option 'epoch'; options are attention_weight, augment, backbone, "),
        ('network = "abn"', "no option 'network'; options are attention_weight, augment, backbone, "),
        ('optimizer = "SGD"', "optimizer = 'SGD'; expected one of adamw, sgd\n"),
        ("optimizer = 3", "optimizer = 3; expected one of adamw, sgd\n"),
        ('sampling = ["balanced"]', "sampling = ['balanced']; expected one of natural, balanced\n"),
        ('schedule = "cos"', "schedule = 'cos'; expected one of plateau, cosine, milestones, constant\n"),
        ('epochs = "three"', "epochs = 'three'; expected int\n"),
        ("epochs = 2.5", "epochs = 2.5; expected int\n"),
        ("epochs = true", "epochs = True; expected int\n"),
        ('lr = "fast"', "lr = 'fast'; expected float\n"),
        ("lr = [0.1]", "lr = [0.1]; expected float\n"),
        ("sgt = 1", "sgt = 1; expected true or false\n"),
        ('quiet = "yes"', "quiet = 'yes'; expected true or false\n"),
        ("augment = 3", "augment = 3; expected "),
        ("augment = [3]", "augment = [3]; expected "),
        ("freeze = 3", "freeze = 3; expected "),
        ("option = [3]", "option = [3]; expected "),
        ("freeze = [true]", "freeze = [True]; expected "),
        ("backbone = true", "backbone = True; expected "),
    ],
)
def test_a_config_file_is_held_to_what_could_be_typed(asked, tmp_path, capsys, text, named):
    argv = toml(tmp_path, f"{text}\n")
    assert main(["train", "plain", "--data", DATA, "--out", "RUN", *argv]) == 2
    assert f"explain: error: --config {argv[1]}: {named}" in capsys.readouterr().err
    assert vars(asked) == {}


def test_numbers_as_text_are_read_from_a_config_file_as_they_would_be_typed(asked, tmp_path):
    text = 'epochs = "3"\nlr = "0.5"\npatience = 2\nclip = 1\nbackbone = 3\nquiet = true\n'
    assert main(["train", "plain", "--data", DATA, "--out", "RUN", *toml(tmp_path, text)]) == 0
    assert asked.settings == Settings(losses=HEADS[:1], epochs=3, optimizer=AdamW(lr=0.5), patience=2, clip=1.0)
    assert isinstance(asked.settings.clip, float)
    assert asked.options == {"backbone": "3"}


def test_lists_of_a_config_file_stand_for_numbers_between_commas(asked, tmp_path):
    text = "sgt = true\nkeep = [0.1, 0.3]\npatch = [2, 8]\nmean = [0.5]\nstd = [0.2]\nsize = 40\nquiet = true\n"
    assert main(["train", "plain", "--data", DATA, "--out", "RUN", *toml(tmp_path, text)]) == 0
    assert asked.settings.losses == (CrossEntropy(), SaliencyGuided(keep=(0.1, 0.3), patch=(2, 8)))
    made = asked.data.preprocessing
    assert (made.resize, made.mean, made.std) == (40, (0.5,), (0.2,))


def test_networks_lists_all(capsys):
    assert main(["networks"]) == 0
    printed = capsys.readouterr().out
    assert main(["networks", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in listed] == list(available_networks())
    for entry in listed:
        assert entry["summary"] == network_entry(entry["name"]).summary != ""
        assert entry["options"] == network_options(entry["name"])
        assert f"{entry['name']:<13}  {entry['summary']}\n" in printed
        assert all(f"{key}={value}" in printed for key, value in entry["options"].items())


def test_a_network_that_explains_itself_is_scored_beside_grad_cam_by_default(run, tmp_path, capsys):
    argv = ["evaluate", str(run), "--metric", "insertion:steps=2", "--images", "2", "--no-figures", "--json"]
    assert main([*argv, "--out", str(tmp_path)]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert {row["explainer"] for row in scores} == {"attention", "grad-cam", "random", "center", "edges"}


def test_a_network_without_an_attention_branch_is_scored_with_grad_cam_alone(tmp_path, capsys):
    out, data = tmp_path / "RUN", "magnetogram:size=32,train=16,val=8,test=8"
    assert main(command(out, "--epochs", "1", "-q", network="plain", data=data)) == 0
    capsys.readouterr()
    argv = ["evaluate", str(out), "--metric", "insertion:steps=2", "--images", "2", "--no-figures", "--json"]
    assert main([*argv, "--out", str(tmp_path / "scores")]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert {row["explainer"] for row in scores} == {"grad-cam", "random", "center", "edges"}


def refused_then_corrected(run, out, capsys, mistake, told):
    """A command that is refused, and the same without the mistake into the same folder."""
    argv = ["evaluate", str(run), "--metric", "insertion:steps=2", "--images", "2", "--no-figures", "--device", "cpu"]
    argv += ["-q", "--out", str(out)]
    assert main([*argv, *mistake]) == 2
    assert capsys.readouterr().err.startswith(f"explain: error: {told}")
    assert (out / "journal.jsonl").is_file()
    assert main([*argv, "-m", "attention"]) == 0, capsys.readouterr().err
    assert {row["explainer"] for row in table(out / "scores.csv")} == {"attention", "random", "center", "edges"}


def test_an_evaluation_that_did_nothing_does_not_block_its_folder(run, tmp_path, capsys):
    refused_then_corrected(run, tmp_path, capsys, ["-m", "attention", "--target", "7"], "target 7 is out of range")


def test_a_refused_method_does_not_block_the_folder_of_an_evaluation(run, tmp_path, capsys):
    told = "attention-rollout cannot be right on this network: "
    refused_then_corrected(run, tmp_path, capsys, ["-m", "attention-rollout"], told)


def test_evaluate_scores_a_training_on_its_test_images(run, tmp_path, capsys):
    out = tmp_path / "scores"
    argv = ["evaluate", str(run), "-m", "attention", "--metric", "insertion:steps=4", "--images", "3", "--no-figures"]
    assert main([*argv, "--device", "cpu", "-o", str(out)]) == 0
    printed = capsys.readouterr()
    assert f"explain: note: 3 of 16 test images of {DATA} are scored (no-flare 2, flare 1)\n" in printed.err
    assert "attention" in printed.out
    assert {"scores.csv", "summary.csv", "summary.md", "manifest.json"} <= {path.name for path in out.iterdir()}
    test = data_set(DATA).test
    names = taken(test, 3)
    assert {row["image"] for row in table(out / "scores.csv")} == set(names)
    for name in names:
        written = read_image(images_of(out) / "images" / name).pixels
        assert np.array_equal(written, test.pixels(test.names.index(name)))


def test_only_takes_images_of_one_class_and_masks_are_made_where_a_metric_needs_them(run, tmp_path, capsys):
    out = tmp_path / "scores"
    argv = ["evaluate", str(run), "-m", "attention", "--metric", "miou", "--images", "2", "--no-figures"]
    assert main([*argv, "--device", "cpu", "-o", str(out), "--only", "Flare"]) == 0
    printed = capsys.readouterr()
    assert f"explain: note: 2 of 16 test images of {DATA} are scored (flare 2)\n" in printed.err
    flares = taken(data_set(DATA).test, 2, label=1)
    assert {row["image"] for row in table(out / "scores.csv")} == set(flares)
    assert {path.name for path in (images_of(out) / "images").iterdir()} == set(flares)
    assert {path.name for path in (images_of(out) / "masks").iterdir()} == set(flares)


def test_images_without_a_mask_are_left_out_and_told(run, tmp_path, capsys):
    out = tmp_path / "scores"
    argv = ["evaluate", str(run), "-m", "attention", "--metric", "miou", "--images", "3", "--no-figures"]
    assert main([*argv, "--device", "cpu", "-o", str(out)]) == 0
    names = taken(data_set(DATA).test, 16)
    flares = [place for place, name in enumerate(names) if name.endswith("-flare.png") and "no-" not in name][:3]
    blank = flares[-1] + 1 - len(flares)
    assert blank > 0
    assert {row["image"] for row in table(out / "scores.csv")} == {names[place] for place in flares}
    note = f"3 of 16 test images of {DATA} are scored (flare 3); masks are needed, and {blank} images before them have none"
    assert f"explain: note: {note}\n" in capsys.readouterr().err


def test_an_evaluation_of_fewer_images_or_of_another_training_is_not_mixed_with_the_one_before(run, tmp_path, capsys):
    out, other = tmp_path / "scores", tmp_path / "OTHER"
    more = ["--metric", "insertion:steps=4", "--no-figures", "--device", "cpu", "-o", str(out), "-q", "--overwrite"]
    assert main(["evaluate", str(run), "-m", "attention", "--images", "3", *more]) == 0
    assert main(["evaluate", str(run), "-m", "attention", "--images", "2", *more]) == 0, capsys.readouterr().err
    assert len({row["image"] for row in table(out / "scores.csv")}) == 2
    assert sorted(len(list(folder.glob("images/*"))) for folder in (out / "test").iterdir()) == [2, 3]
    before = set((out / "test").iterdir())
    data = "magnetogram:size=40,train=16,val=8,test=8"  # names as above, images of another size
    assert main(command(other, "--epochs", "1", "-q", data=data)) == 0
    assert main(["evaluate", str(other), "-m", "attention", "--images", "2", *more]) == 0
    (folder,) = set((out / "test").iterdir()) - before
    (name,) = taken(data_set(data).test, 1)
    assert read_image(folder / "images" / name).pixels.shape == (40, 40, 3)


def class_folders(root: Path) -> Path:
    """Eight images each to train on, to choose by and to test with."""
    split = data_set(DATA).train
    for part in ("train", "val", "test"):
        for index in range(8):
            write_image(root / part / str(split.labels[index]) / f"{index}.png", split.pixels(index))
    return root


def three_classes(root: Path) -> Path:
    """Two images of each of three classes for each split."""
    for part in ("train", "val", "test"):
        for index in range(6):
            write_image(root / part / "abc"[index % 3] / f"{index}.png", np.full((16, 16, 3), 40 * index, np.uint8))
    return root


def test_images_that_the_data_has_no_longer_are_not_scored(tmp_path, capsys):
    photos, out, scores = class_folders(tmp_path / "photos"), tmp_path / "RUN", tmp_path / "scores"
    assert main(command(out, "--epochs", "1", "-q", "--size", "32x32", data=f"folder:{photos}")) == 0
    argv = ["evaluate", str(out), "-m", "attention", "--metric", "insertion:steps=2", "--no-figures", "--device", "cpu"]
    assert main([*argv, "-q", "-o", str(scores)]) == 0
    old = next((photos / "test" / "0").iterdir())
    old.rename(old.with_name("renamed.png"))
    assert main([*argv, "-q", "-o", str(scores), "--overwrite"]) == 0, capsys.readouterr().err
    assert {row["image"] for row in table(scores / "scores.csv")} == set(data_set(f"folder:{photos}").test.names)


def test_a_training_whose_data_has_moved_is_scored_where_it_went_on(tmp_path, capsys):
    photos, out = class_folders(tmp_path / "photos"), tmp_path / "RUN"
    argv = ["--epochs", "1", "-q", "--size", "32x32"]
    assert main(command(out, *argv, data=f"folder:{photos}")) == 0
    moved = photos.rename(tmp_path / "moved")
    assert main(command(out, *argv, data=f"folder:{moved}")) == 0
    argv = ["-m", "attention", "--metric", "insertion:steps=2", "--no-figures", "--device", "cpu", "--images", "2"]
    assert main(["evaluate", str(out), *argv, "-q", "-o", str(tmp_path / "o")]) == 0, capsys.readouterr().err


def test_validation_images_stand_in_for_missing_test_images_with_a_note(tmp_path, capsys):
    out, data = tmp_path / "RUN", "magnetogram:size=32,train=16,val=8,test=0"
    assert main(command(out, "--epochs", "1", "-q", data=data)) == 0
    argv = ["--metric", "insertion:steps=4", "--images", "2", "--no-figures", "--device", "cpu"]
    assert main(["evaluate", str(out), "-m", "attention", *argv, "-o", str(tmp_path / "scores")]) == 0
    told = capsys.readouterr().err
    assert told == (
        f"explain: note: {data} has no test images; its validation images, which chose the weights, are taken instead\n"
        f"explain: note: 2 of 8 validation images of {data} are scored (no-flare 1, flare 1)\n"
    )
    val = data_set(data).val
    for name in taken(val, 2):
        written = read_image(images_of(tmp_path / "scores") / "images" / name).pixels
        assert np.array_equal(written, val.pixels(val.names.index(name)))


@pytest.mark.parametrize("flags", [["--images", "3"], ["--only", "flare"]])
def test_choosing_test_images_without_a_training_is_refused(tmp_path, capsys, flags):
    assert main(["evaluate", "digits:3", *flags, "-o", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == (
        "explain: note: no --model: the embedded digit classifier is explained\n"
        "explain: error: --images and --only choose among the test images of a training; give its folder\n"
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--images", "0"], "--images 0; expected at least 1"),
        (["--only", "flair"], "no class 'flair'; close are 'flare' (1)"),
    ],
)
def test_test_images_that_are_not_there_are_refused(run, tmp_path, capsys, flags, message):
    assert main(["evaluate", str(run), "-m", "attention", *flags, "-q", "-o", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith(f"explain: error: {message}")


def test_a_training_explains_a_folder_of_photos(run, tmp_path, capsys):
    photos, out = write_split(data_set(DATA).test, tmp_path / "in", count=2).images, tmp_path / "out"
    argv = [
        str(photos),
        "--model",
        str(run),
        "-m",
        "attention",
        "-m",
        "grad-cam",
        "--device",
        "cpu",
        "--target",
        "flare",
    ]
    assert main([*argv, "-o", str(out)]) == 0
    assert "2 of 2 images explained" in capsys.readouterr().out
    rows = table(out / "results.csv")
    assert {(row["file"], row["method"]) for row in rows} == {
        (path.name, method) for path in photos.iterdir() for method in ("attention", "grad-cam")
    }
    assert {row["target"] for row in rows} == {"1"}
    assert len(list((out / "overlays").iterdir())) == 4
    assert json.loads((out / "manifest.json").read_text())["preprocessing"]["channels"] == 1


def test_a_training_without_an_attention_branch_refuses_the_attention_map(tmp_path, capsys):
    out, data = tmp_path / "RUN", "magnetogram:size=32,train=16,val=8,test=8"
    assert main(command(out, "--epochs", "1", "-q", network="plain", data=data)) == 0
    photos = write_split(data_set(data).test, tmp_path / "in", count=1).images
    capsys.readouterr()
    assert (
        main([str(photos), "--model", str(out), "-m", "attention", "--device", "cpu", "-o", str(tmp_path / "o")]) == 2
    )
    assert "attention" in capsys.readouterr().err


def test_an_unfinished_or_foreign_folder_is_no_model(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    write_split(data_set(DATA).test, tmp_path / "in", count=1)
    assert main([str(tmp_path / "in"), "--model", str(tmp_path / "in"), "-o", str(tmp_path / "o")]) == 2
    assert "is a folder without a training in it (no run.json)" in capsys.readouterr().err
