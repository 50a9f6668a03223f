"""`explain train`: flags become settings, or are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from explainers.cli.main import main
from training_case import DATA, HEADS, command, config, table

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
)
from explainers.baselines.networks.registry import network_options
from explainers.data.sets import data_set


@pytest.mark.parametrize(
    ("network", "typed", "expected"),
    [
        ("abn", [], Settings()),
        ("plain", [], Settings()),
        ("abn", ["--epochs", "7", "--patience", "3"], Settings(epochs=7, patience=3)),
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
        ("plain", ["--class-weights", "balanced"], Settings(class_weights="balanced")),
        ("plain", ["--class-weights", "1,2.5"], Settings(class_weights=(1.0, 2.5))),
        ("plain", ["--sampling", "balanced"], Settings(sampling="balanced")),
        (
            "plain",
            ["--augment", "shift", "--augment", "flip"],
            Settings(augment=("shift", "flip")),
        ),
        (
            "abn",
            ["--freeze", "features", "--freeze", "head"],
            Settings(plan=Throughout(frozen=("features", "head"))),
        ),
        ("plain", ["--optimizer", "sgd"], Settings(optimizer=SGD())),
        (
            "plain",
            ["--optimizer", "sgd", "--lr", "0.3", "--weight-decay", "0"],
            Settings(optimizer=SGD(lr=0.3, weight_decay=0.0)),
        ),
        ("plain", ["--lr", "0.2"], Settings(optimizer=AdamW(lr=0.2))),
        ("plain", ["--schedule", "cosine"], Settings(schedule=Cosine())),
        ("plain", ["--schedule", "milestones"], Settings(schedule=Milestones())),
        ("plain", ["--schedule", "constant"], Settings(schedule=Constant())),
        (
            "plain",
            ["--precision", "bfloat16", "--clip", "1.5", "--keep-every", "2", "--seed", "9"],
            Settings(precision="bfloat16", clip=1.5, keep_every=2, seed=9),
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
    assert written["network"]["options"] == {**network_options("labn"), "threshold": 0.1, "scope": 3}
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
            "no network 'abm'; did you mean amb or abn or labn? available: abn, ",
        ),
        ("abn", ["--option", "threshold=0.5"], "abn has no option threshold; its options are backbone, bypass"),
        ("abn", ["--option", "bypass"], "--option 'bypass'; expected KEY=VALUE, such as threshold=0.75"),
        ("abn", ["--augment", "flop"], "no augmentation 'flop'; there are flip, vertical-flip, shift"),
        ("abn", ["--class-weights", "evenly"], "--class-weights 'evenly'; expected numbers such as 1,5, or balanced"),
        ("abn", ["--class-weights", "1"], "--class-weights 1; expected 2 positive numbers, one for each class"),
        ("abn", ["--epochs", "0"], "--epochs 0; expected a whole number of at least 1"),
        (
            "abn",
            ["--lr", "0"],
            "--lr 0.0, --weight-decay 0.01; expected learning rates above 0 and a weight decay of at least 0",
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
            "--label-smoothing 2.0, weight=1.0; expected 0 … 1, and no negative weight",
        ),
        ("abn", ["--clip", "0"], "--clip 0.0; expected a positive norm, or None for no clipping"),
        ("abn", ["--sgt", "--keep", "1.5"], "--keep 1.5; expected shares between 0 and 1"),
        ("abn", ["--sgt", "--rank", "luck"], "--rank luck; expected one of auto, attention, gradient, magnitude"),
        ("abn", ["--device", "tpu"], "--device tpu; expected auto, cpu, cuda, cuda:N or mps"),
        ("labn", ["--option", "threshold=2"], "--option threshold=2; expected at least 0 and below 1"),
        ("abn", ["--option", "bypass=no"], "abn: --option bypass=no; expected true or false, such as True"),
        ("abn", ["--option", "bypass=0"], "abn: --option bypass=0; expected true or false, such as True"),
        ("labn", ["--option", "threshold=high"], "labn: --option threshold=high; expected float, such as 0.0"),
        ("labn", ["--option", "scope=2.5"], "labn: --option scope=2.5; expected int, such as 23"),
        ("labn", ["--option", "heads=true"], "labn: --option heads=true; expected int, such as 4"),
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
        ("magnetgram", "no data set 'magnetgram'; did you mean magnetogram[:KEY=VALUE,…]"),
        ("magnetogram:sise=32", "magnetogram:sise=32: 'sise=32' is no setting; they are size, "),
        ("folder:/no/such/place", "folder:/no/such/place: no folder /no/such/place"),
    ],
)
def test_unknown_data_is_refused(tmp_path, capsys, spec, message):
    assert main(command(tmp_path / "RUN", data=spec)) == 2
    assert capsys.readouterr().err.startswith(f"explain: error: {message}")
    assert not (tmp_path / "RUN").exists()


@pytest.mark.parametrize("argv", [["train"], ["train", "abn", "--data", DATA, "--out", "x", "--o"]])
def test_bad_usage_is_code_two(argv, capsys):
    assert main(argv) == 2
    assert "explain train --help shows all options\n" in capsys.readouterr().err


def test_a_training_without_data_is_refused(capsys):
    assert main(["train", "abn"]) == 2
    assert capsys.readouterr().err == "explain: error: explain train needs --data, typed or as data = in --config\n"


def test_a_folder_of_other_files_is_refused(tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("years")
    assert main(command(tmp_path, "--overwrite")) == 2
    assert capsys.readouterr().err == (
        f"explain: error: {tmp_path} is not empty and holds no training; choose another folder\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
