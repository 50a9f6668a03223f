"""`--size` and `--crop` on top of a network whose preprocessing is known: what its input becomes, in every command."""

from __future__ import annotations

import json

import pytest
from explainers.cli.drifting.lineup import lineup_of
from explainers.cli.main import main
from explainers.cli.model_and_methods import loaded_model
from explainers.cli.parser import parse

LARGER = "the crop is larger than what it is cut from"


@pytest.mark.parametrize(
    ("typed", "resize", "crop"),
    [
        ([], 256, (224, 224)),
        (["--size", "32"], 32, (32, 32)),
        (["--size", "40x48"], (40, 48), (40, 48)),
        (["--size", "64", "--crop", "48"], 64, (48, 48)),
        (["--crop", "48"], 256, (48, 48)),
    ],
)
@pytest.mark.parametrize("command", ["run", "evaluate", "doctor", "layers"])
def test_size_alone_is_the_input_of_a_network_with_a_crop(command, typed, resize, crop):
    words = [command, "in"] if command in ("run", "evaluate") else [command]
    made = loaded_model(parse([*words, "--model", "photographs", "-q", "--device", "cpu", *typed])).preprocessing
    assert (made.resize, made.crop) == (resize, crop)


def test_drift_compares_networks_at_the_size_alone():
    words = ["drift", "--model", "photographs", "--model", "embedded", "--size", "32", "--device", "cpu"]
    lineup, _ = lineup_of(parse(words))
    assert lineup.networks["photographs"].load().preprocessing.crop == (32, 32)


@pytest.mark.parametrize("command", ["run", "evaluate", "doctor", "layers", "drift"])
def test_a_crop_larger_than_the_size_is_refused_everywhere(command, images, tmp_path, capsys):
    words = [command, str(images)] if command in ("run", "evaluate") else [command]
    more = ["--model", "embedded"] if command == "drift" else []
    typed = ["--model", "photographs", *more, "--size", "32", "--crop", "224", "--device", "cpu"]
    assert main([*words, *typed]) == 2
    assert LARGER in capsys.readouterr().err


def test_a_run_sees_no_black_border(images, tmp_path):
    out = tmp_path / "out"
    assert main([str(images), "--size", "32", "-o", str(out), "--device", "cpu", "-q", "--no-overlays"]) == 0
    made = json.loads((out / "manifest.json").read_text())["preprocessing"]
    assert (made["resize"], made["crop"]) == (32, [32, 32])
