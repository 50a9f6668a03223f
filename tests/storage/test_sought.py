"""What every command that takes a folder says of a path where there is no such folder."""

from __future__ import annotations

import json

import pytest
from explainers.cli.main import main

from explainers.storage.sought import not_written, written_by

FOLDER = {  # by the command: what may stand in the message for it
    "export {} --to zarr": "for Zarr give the folder that explain run wrote",
    "export {} --to mlflow": "for a run of MLflow give the folder that explain run or evaluate wrote",
    "report {}": "give the folder that explain run, evaluate, drift or train wrote",
    "regions {}": "for regions give the folder that explain run wrote",
    "verify {}": "give the folder that explain run, evaluate, drift or train wrote",
    "edit-list {} --out EDIT": "give the folder that explain train wrote",
    "drift {}": "give files of weights, or the folder that explain train wrote",
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with another of nothing, of an image, of a finished run, and of edited maps, and a file."""
    for command in ("run", "edit-list"):
        (tmp_path / f"OUT-{command}").mkdir()
        (tmp_path / f"OUT-{command}" / "manifest.json").write_text(json.dumps({"command": command}))
    for name in ("nothing", "images"):
        (tmp_path / name).mkdir()
    (tmp_path / "images" / "cat.jpg").touch()
    (tmp_path / "OUT-run" / "results.csv").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", FOLDER)
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nosuch", "there is no nosuch; "),
        ("nothing", " (it is empty); "),
        ("images", "images holds nothing of explain "),
        ("images/cat.jpg", "images/cat.jpg is a file; "),
        ("OUT-edit-list", "OUT-edit-list was written by explain edit-list; "),
    ],
)
def test_the_error_says_what_the_path_is_and_what_to_give(here, capsys, command, given, said):
    if command.startswith("verify") and given == "OUT-edit-list":
        assert main(["verify", given]) == 1  # it looks after what any command left
        assert "(explain edit-list)" in capsys.readouterr().out
        return
    if command.startswith("drift") and given == "images/cat.jpg":
        said, wanted = "", "holds weights; name the network that they belong to"  # what a file is to it
    else:
        wanted = FOLDER[command]
    assert main(command.format(given).split()) == 2
    told = capsys.readouterr().err
    assert said in told
    assert wanted in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "offered"),
    [("OUT-rum", ", such as OUT-run"), ("OUT-run/results.csv", ", such as OUT-run"), (".", ", such as OUT-run")],
)
def test_a_folder_that_may_be_meant_is_named(here, capsys, given, offered):
    assert main(["regions", given]) == 2
    assert capsys.readouterr().err.endswith(f"explain run wrote{offered}\n")


def test_no_more_than_three_are_named_the_likest_first(here):
    for number in range(5):
        (here / f"TUNED-{number}").mkdir()
        (here / f"TUNED-{number}" / "run.json").write_text("{}")
    assert written_by(here / "TUNED-0") == "train"
    assert not_written(here / "TUNED-9", ["train"]).count("TUNED-") == 4
    told = not_written(here / "OUT-rum", ["run", "train"])
    assert f"such as {here}/OUT-run, " in told
