"""Values that are no numbers, too large, or nothing: one error, of whatever flag."""

from __future__ import annotations

import os

import pytest
from explainers.cli import main as entry
from explainers.cli.main import main

NINES = "9" * 5000  # digits, more than Python makes a number of


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--size", "²"], "--size '²'; expected a number"),
        (["--crop", NINES], "expected a number"),
        (["--target", "²"], "--target ²: the class names"),
        (["--target=--5"], "--target --5: the class names"),
        (["--target", "0 - ²"], "no class and no difference"),
        (["--target", "value:²"], "expected the index of a value"),
        (["--target", NINES], "the class names"),
        (["--bands", "nan,1,2"], "--bands 'nan,1,2'; expected whole numbers"),
        (["--input-bands", "inf"], "expected whole numbers"),
        (["--channels", "99999999999"], "expected at most 10,000"),
        (["--device", "meta"], "--device meta; expected auto, cpu"),
        (["--max-pixels", "0"], "--max-pixels 0; expected at least 1"),
        (["-m", "rise", "--seed", "99999999999999999999"], "expected a whole number from 0"),
        (["--labels", "a\0b"], "its name has a zero byte in it"),
        (["--out", "a\0b"], "its name has a zero byte in it"),
        (["--out", "x" * 300], "choose a shorter name"),
    ],
)
def test_what_is_no_value_is_refused_in_a_line(images, net, capsys, tmp_path, monkeypatch, flags, told):
    monkeypatch.chdir(tmp_path)
    steps = [] if {"--size", "--crop"} & set(flags) else ["--size", "16x16"]
    assert main(["run", str(images), "--model", f"{net}:make", *steps, *flags]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["run", ""], "FOLDER"),
        ([""], "FOLDER"),
        (["verify", ""], "OUT"),
        (["run", ".", "--out", ""], "--out"),
        (["run", ".", "--config", ""], "--config"),
        (["evaluate", ".", "-m", "grad-cam", "-m", ""], "--method"),
        (["report", ".", "--out", ""], "--out"),
    ],
)
def test_nothing_is_no_value(capsys, argv, name):
    assert main(argv) == 2
    assert f"error: {name} is empty" in capsys.readouterr().err


def test_nothing_in_a_configuration_is_no_value_either(tmp_path, capsys):
    (tmp_path / "c.toml").write_text('layer = ""\n')
    assert main(["run", str(tmp_path), "--config", str(tmp_path / "c.toml")]) == 2
    assert "error: --layer is empty" in capsys.readouterr().err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no device that is full")
@pytest.mark.parametrize("argv", [["--version"], ["--help"], ["methods"], ["methods", "--json"]])
def test_output_that_cannot_be_printed_is_said_to_be(argv, capsys, monkeypatch):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr("sys.stdout", full)
        monkeypatch.setattr(entry, "_print_no_more", lambda: None)  # it is this test's own file
        assert main(argv) == 2
        assert "explain: error: cannot print: No space left on device" in capsys.readouterr().err
        monkeypatch.undo()
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())  # so that it can be closed
