"""A journal that is damaged, empty or gone is never begun anew without a word."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from explainers.cli.main import main
from run_case import command, folder

from explainers.models.factory import function_from

NET = """
import torch
from torch import nn

def make():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
"""
TABLES = {"run": "results.csv", "evaluate": "scores.csv", "drift": "drift.csv"}
GARBAGE = np.random.default_rng(0).integers(0, 256, 4000, np.uint8).tobytes()
HARM = {
    "garbage": lambda data: GARBAGE,
    "one line of garbage": lambda data: GARBAGE.replace(b"\n", b"."),
    "zeros": lambda data: bytes(len(data)),
    "a spoiled first line": lambda data: b"#" + data[1:],
    "a first line alone, spoiled": lambda data: b"#" + data[1 : data.index(b"\n") + 1],
    "a first line that is cut": lambda data: data[:100],
}


@pytest.fixture(scope="module", params=TABLES)
def finished(request, tmp_path_factory):
    """A finished folder of each kind, the command that goes on with it, and a copy to begin each test from."""
    tmp_path = tmp_path_factory.mktemp("journals")
    kind, out, images = request.param, tmp_path / "out", folder(tmp_path / "in")
    asked = command(kind, images, out, "--batch-size", "1")
    if kind == "drift":
        (tmp_path / "net.py").write_text(NET)
        network = function_from(f"{tmp_path / 'net.py'}:make")()
        states = [str(tmp_path / f"{each}.pt") for each in range(2)]
        for path in states:
            network[0].weight.data.mul_(1.5)
            torch.save(network.state_dict(), path)
        asked = ["drift", *states, "--data", str(images), "--model", f"{tmp_path / 'net.py'}:make"]
        asked += ["--size", "16x16", "-m", "saliency", "--no-figures", "--no-report", "-q", "--out", str(out)]
    assert main(asked) == 0
    return asked, out, Path(shutil.copytree(out, tmp_path / "copy")), TABLES[kind]


@pytest.fixture
def done(finished):
    """A finished folder, the command that goes on with it, and what its table says but for the time."""
    asked, out, copy, table = finished
    shutil.rmtree(out)
    shutil.copytree(copy, out)
    return asked, out, lambda: content(out / table)


def content(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    ("finished", "harm"),
    [("run", harm) for harm in HARM]
    + [(kind, harm) for kind in ("evaluate", "drift") for harm in ("garbage", "a first line that is cut")],
    indirect=["finished"],
)
def test_a_journal_that_cannot_be_read_is_refused_with_what_to_do(done, harm, capsys):
    asked, out, table = done
    before, journal = table(), out / "journal.jsonl"
    spoiled = HARM[harm](journal.read_bytes())
    journal.write_bytes(spoiled)
    capsys.readouterr()
    assert main(asked) == 2
    said = capsys.readouterr().err
    assert "the first line of journal.jsonl is damaged" in said
    assert "--overwrite" in said
    assert journal.read_bytes() == spoiled
    assert main([*asked, "--overwrite"]) == 0
    assert table() == before


@pytest.mark.parametrize("harm", ["is empty", "is missing"])
def test_a_journal_that_is_empty_or_gone_is_begun_anew_and_that_is_said(done, harm, capsys):
    asked, out, table = done
    before, journal = table(), out / "journal.jsonl"
    journal.write_bytes(b"") if harm == "is empty" else journal.unlink()
    capsys.readouterr()
    assert main(["verify", str(out)]) == 1
    said = capsys.readouterr().out
    assert f"journal.jsonl {harm}" in said
    assert "damaged" not in said
    assert main(asked) == 0  # also under -q: what was done there is gone
    assert f"journal.jsonl {harm}, and nothing else tells what was done there" in capsys.readouterr().err
    assert table() == before
    assert main([each for each in asked if each != "-q"]) == 0
    assert "nothing else tells" not in capsys.readouterr().err


def test_damaged_lines_are_named_once_and_done_again(done, capsys):
    asked, out, table = done
    before, journal = table(), out / "journal.jsonl"
    first, *lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([first, b"\xff\r\x00" + lines[0][5:], *lines[1:]]))
    capsys.readouterr()
    assert main(asked) == 0  # also under -q
    assert "journal.jsonl: 1 line is damaged; what was noted in it is done again" in capsys.readouterr().err
    assert table() == before
    assert main(["verify", str(out)]) == 0
    capsys.readouterr()
    assert main([each for each in asked if each != "-q"]) == 0
    assert "damaged;" not in capsys.readouterr().err


def test_a_line_that_a_kill_has_torn_is_done_again_without_a_word(done, capsys):
    asked, out, table = done
    before, journal = table(), out / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-30])
    capsys.readouterr()
    assert main([each for each in asked if each != "-q"]) == 0
    assert "damaged;" not in capsys.readouterr().err
    assert table() == before
