"""The folder of a training: started, gone on in, refused, cleared, read, and never a way to run code."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest
import torch

from explainers import load_model
from explainers.baselines import create_network
from explainers.baselines.training.checkpoint import save_weights
from explainers.baselines.training.run_folder import (
    BEST,
    CONFIG,
    CONTENTS,
    EPOCHS,
    FORMAT,
    LAST,
    LOG,
    RESULT,
    is_run,
    open_run,
    read_config,
    read_run,
    write_log,
)
from explainers.baselines.training.trained_network import rebuilt
from explainers.errors import ModelFileError, OptionError
from explainers.storage.atomic import write_json
from explainers.storage.run_folder import RunFolder

CONFIGURATION = {
    "format": FORMAT,
    "network": {"name": "plain", "channels": 1, "classes": 2, "options": {}, "weights": None},
    "data": {"spec": "magnetogram:size=32", "train": 48, "val": 16, "test": 0, "sha256": "0f"},
    "class_names": ["no-flare", "flare"],
    "preprocessing": {"channels": 1, "mean": [0.5], "std": [0.1]},
    "settings": {
        "losses": [{"kind": "CrossEntropy", "weight": 1.0}],
        "optimizer": {"kind": "AdamW", "lr": 0.001, "betas": [0.9, 0.999], "parts": {}},
        "epochs": 30,
        "patience": None,
    },
    "versions": {"torch": "2.0", "python": "3.10"},
}
REMEDY = "Go on with its settings, choose another folder, or remove it with overwrite (--overwrite)"


def changed(*path, value):
    config = deepcopy(CONFIGURATION)
    place = config
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return config


def without(*path):
    config = changed(*path, value=None)
    place = config
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    return config


def whole(folder: Path) -> Path:
    """A training with all that one leaves."""
    open_run(folder, CONFIGURATION, overwrite=False)
    for name in (LAST, BEST, LOG, RESULT):
        (folder / name).write_text("{}")
    for name in (EPOCHS, "tensorboard"):
        (folder / name).mkdir()
        (folder / name / "0001.safetensors").write_text("x")
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_is_started_with_its_configuration_and_gone_on_in(tmp_path):
    folder = tmp_path / "deep" / "run"
    assert not is_run(folder)
    open_run(folder, CONFIGURATION, overwrite=False)
    assert is_run(folder)
    assert read_config(folder) == CONFIGURATION
    assert names(folder) == [CONFIG]
    (folder / LAST).write_text("x")
    open_run(folder, CONFIGURATION, overwrite=False)
    assert names(folder) == [LAST, CONFIG]


def test_an_empty_folder_is_taken(tmp_path):
    open_run(tmp_path, CONFIGURATION, overwrite=False)
    assert is_run(tmp_path)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("settings", "optimizer", "betas"), (0.9, 0.999)),  # lists in the file
        (("versions",), {"torch": "3.0"}),
        (("data", "spec"), "magnetogram:size=32,train=48"),  # the same images from elsewhere
    ],
)
@pytest.mark.parametrize("extend", [False, True])
def test_what_makes_no_other_training_lets_it_go_on_as_it_was(tmp_path, path, value, extend):
    whole(tmp_path)
    before = names(tmp_path)
    open_run(tmp_path, changed(*path, value=value), overwrite=False, extend=extend)
    found = read_config(tmp_path)
    if path == ("data", "spec"):
        found["data"]["spec"] = CONFIGURATION["data"]["spec"]
    assert found == CONFIGURATION
    assert names(tmp_path) == before


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("settings", "epochs"), 40, "settings.epochs (30 there, 40 now)"),
        (("settings", "patience"), 3, "settings.patience (None there, 3 now)"),
        (("settings", "optimizer", "betas"), (0.5, 0.999), "settings.optimizer.betas[0] (0.9 there, 0.5 now)"),
        (("settings", "optimizer", "parts"), {"head": 0.1}, "settings.optimizer.parts.head (None there, 0.1 now)"),
        (("data", "train"), 50, "data.train (48 there, 50 now)"),
        (("data", "test"), 16, "data.test (0 there, 16 now)"),
        (("data", "sha256"), "1e", "data.sha256 ('0f' there, '1e' now)"),
        (("network", "options"), {"spec": 1}, "network.options.spec (None there, 1 now)"),
        (("class_names",), ["a"], "class_names (['no-flare', 'flare'] there, ['a'] now)"),
        (
            ("settings", "losses"),
            [{"kind": "CrossEntropy", "weight": 1.0}, {"kind": "SaliencyGuided", "weight": 0.5}],
            "settings.losses (CrossEntropy there, CrossEntropy + SaliencyGuided now)",
        ),
        (("network", "options"), {"versions": 3}, "network.options.versions (None there, 3 now)"),
    ],
)
def test_another_training_is_refused_with_what_differs(tmp_path, path, value, told):
    whole(tmp_path)
    before = names(tmp_path)
    for extend in (False, True) if path[-1] != "epochs" else (False,):
        with pytest.raises(OptionError) as caught:
            open_run(tmp_path, changed(*path, value=value), overwrite=False, extend=extend)
        assert str(caught.value) == f"{tmp_path} holds a training that differs in {told}. {REMEDY}"
        assert read_config(tmp_path) == CONFIGURATION
        assert names(tmp_path) == before


def test_all_that_differs_is_told_in_order(tmp_path):
    whole(tmp_path)
    now = changed("settings", "epochs", value=2)
    now["data"] = {"spec": "x", "train": 50, "val": 16, "test": 0, "sha256": "1e"}
    with pytest.raises(OptionError) as caught:
        open_run(tmp_path, now, overwrite=False)
    assert str(caught.value) == (
        f"{tmp_path} holds a training that differs in data.sha256 ('0f' there, '1e' now); data.train (48 there, 50 "
        f"now); settings.epochs (30 there, 2 now). {REMEDY}"
    )


def test_more_epochs_alone_make_a_training_go_on_where_it_may_be_extended(tmp_path):
    whole(tmp_path)
    now = changed("settings", "epochs", value=40)
    now["data"]["spec"], now["versions"] = "elsewhere", {"torch": "3.0"}
    open_run(tmp_path, now, overwrite=False, extend=True)
    assert read_config(tmp_path) == now
    assert names(tmp_path) == sorted({BEST, CONFIG, EPOCHS, LAST, LOG, "tensorboard"})  # all but the result
    assert (tmp_path / EPOCHS / "0001.safetensors").exists()
    open_run(tmp_path, now, overwrite=False)
    assert read_config(tmp_path) == now


def test_fewer_epochs_and_more_epochs_beside_another_change_are_another_training(tmp_path):
    whole(tmp_path)
    before = names(tmp_path)
    more = changed("settings", "epochs", value=40)
    more["settings"]["patience"] = 3
    for now, told in (
        (changed("settings", "epochs", value=20), "settings.epochs (30 there, 20 now)"),
        (more, "settings.epochs (30 there, 40 now); settings.patience (None there, 3 now)"),
    ):
        with pytest.raises(OptionError) as caught:
            open_run(tmp_path, now, overwrite=False, extend=True)
        assert str(caught.value) == f"{tmp_path} holds a training that differs in {told}. {REMEDY}"
        assert read_config(tmp_path) == CONFIGURATION
        assert names(tmp_path) == before


def test_a_training_that_has_not_finished_an_epoch_can_be_corrected(tmp_path):
    # A mistyped name is found after the folder was started; the command mended must not be refused for the typo.
    open_run(tmp_path, CONFIGURATION, overwrite=False)
    (tmp_path / f".{LAST}.4711.tmp").write_text("half")
    (tmp_path / BEST).write_text("of the half epoch")
    (tmp_path / "notes.txt").write_text("mine")
    now = changed("settings", "epochs", value=2)
    open_run(tmp_path, now, overwrite=False)
    assert read_config(tmp_path) == now
    assert names(tmp_path) == ["notes.txt", CONFIG]


def test_overwrite_starts_anew(tmp_path):
    whole(tmp_path)
    now = changed("settings", "epochs", value=2)
    open_run(tmp_path, now, overwrite=True)
    assert names(tmp_path) == [CONFIG]
    assert read_config(tmp_path) == now


def test_overwrite_leaves_a_users_files_and_starts_anew_beside_them(tmp_path):
    whole(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    now = changed("settings", "epochs", value=2)
    open_run(tmp_path, now, overwrite=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert read_config(tmp_path) == now
    assert names(tmp_path) == ["notes.txt", CONFIG]


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"format": 2}', '{"format": 1}'])
def test_overwrite_removes_a_training_whose_configuration_is_torn(tmp_path, text):
    whole(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / CONFIG).write_text(text)
    open_run(tmp_path, CONFIGURATION, overwrite=True)
    assert read_config(tmp_path) == CONFIGURATION
    assert names(tmp_path) == ["notes.txt", CONFIG]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_other_files_is_refused_and_left_alone(tmp_path, overwrite):
    (tmp_path / "thesis.tex").write_text("years")
    with pytest.raises(OptionError) as caught:
        open_run(tmp_path, CONFIGURATION, overwrite=overwrite)
    assert str(caught.value) == f"{tmp_path} is not empty and holds no training; choose another folder"
    assert names(tmp_path) == ["thesis.tex"]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "run").write_text("x")
    with pytest.raises(OptionError, match="choose another folder"):
        open_run(tmp_path / "run", CONFIGURATION, overwrite=True)
    assert (tmp_path / "run").read_text() == "x"


@pytest.mark.parametrize("name", [CONFIG, LAST, BEST, LOG, RESULT])
@pytest.mark.parametrize("overwrite", [False, True])
def test_what_a_killed_write_left_does_not_keep_the_training_from_starting(tmp_path, name, overwrite):
    (tmp_path / f".{name}.4711.tmp").write_text("{")
    open_run(tmp_path, CONFIGURATION, overwrite=overwrite)
    assert names(tmp_path) == [CONFIG]


@pytest.mark.parametrize(
    "name", [".run.json.tmp", ".run.json.x.tmp", ".runxjson.1.tmp", "run.json.1.tmp", ".gitignore"]
)
def test_what_only_looks_like_it_is_a_users(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(OptionError, match="is not empty and holds no training"):
        open_run(tmp_path, CONFIGURATION, overwrite=True)
    assert names(tmp_path) == [name]


def test_clear_removes_its_own_files_alone(tmp_path):
    whole(tmp_path)
    (tmp_path / f".{BEST}.1.tmp").write_text("half")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "figures").mkdir()
    RunFolder(tmp_path, CONTENTS).clear()
    assert names(tmp_path) == ["figures", "notes.txt"]
    RunFolder(tmp_path, CONTENTS).clear()
    assert names(tmp_path) == ["figures", "notes.txt"]


def test_no_training_is_told_with_the_file_that_is_missing(tmp_path):
    for read in (read_config, read_run, rebuilt):
        with pytest.raises(ModelFileError) as caught:
            read(tmp_path)
        assert str(caught.value) == f"no training in {tmp_path}: run.json is missing"


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
