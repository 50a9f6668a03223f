"""A command that is interrupted in the middle of its work leaves what was there, and goes through when it starts again."""

from __future__ import annotations

import importlib
import os
import signal

import pytest
from explainers.cli.main import main
from run_case import command, folder

COMMANDS = {  # and where they are interrupted: a function, and which of its calls
    "report": (["report"], "explainers.render.report.sink.write_quickly", 3),
    "report in its last step": (["report"], "explainers.storage.atomic.synced", 1),
    "report in one file": (["report", "--single-file"], "explainers.storage.atomic.synced", 1),
    "regions": (["regions"], "explainers.storage.atomic.synced", 1),
    "parquet": (["export", "--to", "parquet"], "explainers.storage.atomic.synced", 1),
    "tiff": (["export", "--to", "tiff"], "explainers.storage.atomic.synced", 5),
    "verify": (["verify"], "explainers.storage.verify.unlike", 2),
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    root = tmp_path_factory.mktemp("interrupted")
    assert main(command("run", folder(root / "in"), root / "out")) == 0
    return root / "out"


def tree(root):
    return {path.relative_to(root): path.read_bytes() if path.is_file() else None for path in root.rglob("*")}


@pytest.fixture
def interrupted(monkeypatch):
    """Has the process be told to end in a call of a function, as another process or a user would tell it."""

    def at(name, nth):
        module, _, function = name.rpartition(".")
        own, calls = getattr(importlib.import_module(module), function), []

        def told(*args, **kwargs):
            calls.append(1)
            if len(calls) == nth:
                os.kill(os.getpid(), signal.SIGTERM)
            return own(*args, **kwargs)

        monkeypatch.setattr(name, told)
        return calls

    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield at
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("name", COMMANDS)
def test_an_interrupted_command_leaves_what_was_there_and_can_start_again(ran, capsys, monkeypatch, interrupted, name):
    (what, *more), function, nth = COMMANDS[name]
    if name == "parquet":
        pytest.importorskip("pyarrow")
    argv, before = [what, str(ran), *more, "-q"], tree(ran)
    calls = interrupted(function, nth)
    assert main(argv) == 130
    assert len(calls) == nth
    assert capsys.readouterr() == ("", "explain: interrupted\n")
    assert tree(ran) == before
    monkeypatch.undo()
    assert main(argv) == 0
