"""What the trainer refuses, and what it writes down of what was asked for."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from bars_case import ALL, SIZE, SMALL, bars

from explainers.baselines import (
    SGD,
    Constant,
    SaliencyGuided,
    Settings,
    Throughout,
    train,
)
from explainers.baselines.training.run_folder import RESULT
from explainers.errors import DataError, ImageError, OptionError, TrainingError


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
