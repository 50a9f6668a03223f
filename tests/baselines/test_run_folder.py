"""The folder of a training: started, gone on in, refused, cleared, read, and never a way to run code."""

from __future__ import annotations

import pytest
from training_folder_case import CONFIGURATION, changed, names, whole

from explainers.baselines.training.run_folder import (
    BEST,
    CONFIG,
    CONTENTS,
    EPOCHS,
    LAST,
    LOG,
    RESULT,
    is_run,
    open_run,
    read_config,
)
from explainers.errors import OptionError
from explainers.storage.run_folder import RunFolder

REMEDY = "Go on with its settings, choose another folder, or remove it with overwrite (--overwrite)"


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
