"""What the folder of a training is read as, and which ones are refused by name."""

from __future__ import annotations

import pytest
import torch
from training_folder_case import CONFIGURATION, changed, whole

from explainers import load_model
from explainers.baselines import create_network
from explainers.baselines.training.checkpoint import save_weights
from explainers.baselines.training.run_folder import (
    BEST,
    CONFIG,
    FORMAT,
    LAST,
    LOG,
    RESULT,
    open_run,
    read_config,
    read_run,
    write_log,
)
from explainers.baselines.training.trained_network import rebuilt
from explainers.errors import ModelFileError
from explainers.storage.atomic import write_json


def without(*path):
    config = changed(*path, value=None)
    place = config
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    return config


def test_no_training_is_told_with_the_file_that_is_missing(tmp_path):
    (tmp_path / "log.csv").touch()
    for read in (read_config, read_run, rebuilt):
        with pytest.raises(ModelFileError) as caught:
            read(tmp_path)
        assert str(caught.value) == (
            f"{tmp_path} holds nothing of explain train (no run.json); give the folder that explain train wrote"
        )


@pytest.mark.parametrize("text", ["", '{"format": 1, "netw', "\x00\x01", "nonsense"])
def test_a_torn_configuration_is_refused_by_name(tmp_path, text):
    (tmp_path / CONFIG).write_text(text)
    for read in (read_config, read_run, rebuilt, lambda folder: open_run(folder, CONFIGURATION, overwrite=False)):
        with pytest.raises(ModelFileError) as caught:
            read(tmp_path)
        assert str(caught.value).startswith(f"{tmp_path / CONFIG} cannot be read: ")


def test_a_configuration_that_is_no_object_is_refused(tmp_path):
    (tmp_path / CONFIG).write_text("[1]")
    with pytest.raises(ModelFileError) as caught:
        read_config(tmp_path)
    assert str(caught.value) == f"{tmp_path / CONFIG} is no JSON object"


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / CONFIG).write_bytes(b"\xff\xfe{}")
    with pytest.raises(ModelFileError, match="cannot be read"):
        read_config(tmp_path)


def test_a_later_format_is_refused(tmp_path):
    write_json(tmp_path / CONFIG, changed("format", value=FORMAT + 1))
    for read in (read_config, read_run, rebuilt, lambda folder: open_run(folder, CONFIGURATION, overwrite=False)):
        with pytest.raises(ModelFileError) as caught:
            read(tmp_path)
        assert str(caught.value) == f"{tmp_path / CONFIG} has format 2, expected 1; update explainers?"


@pytest.mark.parametrize(
    ("config", "missing"),
    [
        *((without(key), key) for key in ("class_names", "preprocessing")),
        *((without("network", key), f"network.{key}") for key in ("name", "channels", "classes", "options")),
        (without("data", "spec"), "data.spec"),
        (without("data"), "data, data.spec"),
        (changed("data", value="magnetogram:size=32"), "data.spec"),
        (changed("data", value=None), "data.spec"),
        (changed("data", value=["spec"]), "data.spec"),
        (
            changed("network", value="name channels classes options"),
            "network.name, network.channels, network.classes, network.options",
        ),
    ],
)
def test_a_configuration_without_its_parts_is_refused_with_their_names(tmp_path, config, missing):
    whole(tmp_path)
    write_json(tmp_path / CONFIG, config)
    for read in (read_config, read_run, rebuilt, lambda folder: open_run(folder, CONFIGURATION, overwrite=False)):
        with pytest.raises(ModelFileError) as caught:
            read(tmp_path)
        assert str(caught.value) == f"{tmp_path / CONFIG} is damaged: it has no {missing}"


def test_all_parts_that_are_missing_are_named(tmp_path):
    write_json(tmp_path / CONFIG, {"format": FORMAT})
    with pytest.raises(ModelFileError) as caught:
        read_config(tmp_path)
    told = str(caught.value)
    assert told.startswith(
        f"{tmp_path / CONFIG} is damaged: it has no network, data, class_names, preprocessing, settings, network.name, "
    )
    assert told.endswith(", network.options, data.spec") or ", network.options, data.spec, " in told


@pytest.mark.parametrize("value", [None, 3, "epochs", {}])
def test_settings_without_epochs_are_refused(tmp_path, value):
    write_json(tmp_path / CONFIG, changed("settings", value=value))
    (tmp_path / LAST).write_text("x")
    with pytest.raises(ModelFileError, match="run.json is damaged: it has no settings.epochs"):
        open_run(tmp_path, CONFIGURATION, overwrite=False)


def test_what_a_training_goes_without_may_be_missing(tmp_path):
    for config in (without("versions"), without("network", "weights"), without("data", "sha256")):
        write_json(tmp_path / CONFIG, config)
        assert read_config(tmp_path) == config


def test_a_log_is_read_as_it_was_written(tmp_path):
    open_run(tmp_path, CONFIGURATION, overwrite=False)
    history = [{"epoch": 0, "val_loss": 1 / 3}, {"epoch": 1, "val_loss": 0.25, "val_tss": -0.1}]
    write_log(tmp_path / LOG, history)
    run = read_run(tmp_path)
    assert [dict(row) for row in run.history] == history
    assert run.result == {}
    assert run.config == CONFIGURATION
    assert (tmp_path / LOG).read_text().splitlines()[:2] == ["epoch,val_loss,val_tss", f"0,{1 / 3!r},"]
    write_json(tmp_path / RESULT, {"best_epoch": 1})
    assert read_run(tmp_path).result == {"best_epoch": 1}


def test_the_network_is_rebuilt_and_the_global_generator_untouched(tmp_path):
    open_run(tmp_path, CONFIGURATION, overwrite=False)
    with pytest.raises(ModelFileError) as caught:
        rebuilt(tmp_path)
    assert str(caught.value) == (f"the training in {tmp_path} has not finished an epoch; start the same command again")
    network = create_network("plain", channels=1, classes=2)
    save_weights(tmp_path / BEST, network, {})
    write_log(tmp_path / LOG, [{"epoch": 0, "val_loss": 0.1}, {"epoch": 1, "val_loss": 0.2}])
    state = torch.get_rng_state()
    made, path, notes = rebuilt(tmp_path)
    assert torch.equal(torch.get_rng_state(), state)
    assert path == tmp_path / BEST
    assert notes == ["the training is not over: best of 2 epochs so far"]
    assert made.state_dict().keys() == network.state_dict().keys()
    write_json(tmp_path / RESULT, {})
    assert rebuilt(tmp_path)[2] == []


EVIL = """
from pathlib import Path
Path({touched!r}).write_text("was here")
from explainers.baselines import resnet
def make():
    return resnet("small-resnet", channels=1, classes=2)
"""


@pytest.mark.parametrize("spelling", ["evil.py:make", "{root}/evil.py:make", "evil:make", "./evil.py:make"])
def test_code_that_a_configuration_names_is_not_run_without_trust(tmp_path, monkeypatch, spelling):
    touched, run = tmp_path / "touched", tmp_path / "run"
    (tmp_path / "evil.py").write_text(EVIL.format(touched=str(touched)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    spec = spelling.format(root=tmp_path)
    config = changed("network", "options", value={"backbone": spec})
    open_run(run, config, overwrite=False)
    save_weights(run / BEST, create_network("plain", channels=1, classes=2), {})
    for read in (rebuilt, lambda folder: load_model(str(folder), device="cpu")):
        with pytest.raises(ModelFileError) as caught:
            read(run)
        assert str(caught.value) == (
            f"{run / CONFIG} names the backbone {spec!r}, and making it runs code: pass trust_model_file "
            "(--trust-model-file) if you trust where it comes from"
        )
    assert not touched.exists()
    if spelling == "evil.py:make":
        made, _, _ = rebuilt(run, trust=True)
        assert touched.exists()
        assert made(torch.zeros(2, 1, 32, 32)).shape == (2, 2)


def test_a_backbone_of_a_library_needs_no_trust(tmp_path):
    config = changed("network", "options", value={"backbone": "torchvision:resnet18"})
    open_run(tmp_path, config, overwrite=False)
    save_weights(tmp_path / BEST, torch.nn.Linear(1, 1), {})
    assert rebuilt(tmp_path)[0](torch.zeros(2, 1, 64, 64)).shape == (2, 2)


@pytest.mark.parametrize("log", [b"\xff\x00\x9b" * 40, b"epoch,loss\n1,much\n", b"epoch,loss\n1,2,3\n", bytes(60), b""])
def test_a_damaged_log_is_named_with_what_to_do(tmp_path, log):
    whole(tmp_path)
    (tmp_path / LOG).write_bytes(log)
    with pytest.raises(ModelFileError, match=r"log\.csv is damaged .*; remove it"):
        read_run(tmp_path)
    (tmp_path / LOG).unlink()
    assert read_run(tmp_path).history == ()
