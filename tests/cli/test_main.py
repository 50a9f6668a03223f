"""How a command ends: exit codes, signals, defects."""

from __future__ import annotations

import os
import signal

import pytest
from explainers.cli import commands
from explainers.cli.main import main


class Pretended:
    def __init__(self, does):
        self.act = does


def ending(monkeypatch, does):
    monkeypatch.setitem(commands.COMMANDS, "methods", _with(commands.COMMANDS["methods"], does))
    return main(["methods"])


def _with(command, does):
    made = Pretended(does)
    made.HELP, made.add_arguments = command.HELP, command.add_arguments
    return made


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_ends_a_command_as_an_interruption(monkeypatch, capsys, name):
    number = getattr(signal, name)
    usual = signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL
    found = signal.signal(number, usual)  # tests in the background start with signals ignored
    try:
        assert ending(monkeypatch, lambda arguments: os.kill(os.getpid(), number) or signal.pause()) == 130
        assert capsys.readouterr().err == "explain: interrupted\n"
        assert signal.getsignal(number) == usual
    finally:
        signal.signal(number, found)


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["run", "photos"], "; the same command goes on from here"),
        (["demo"], "; the same command goes on from here"),
        (["train", "abn"], "; the same command goes on from here"),
        (["run", "photos", "--overwrite"], "; the same command without --overwrite goes on from here"),
        (["demo", "--overwrite"], "; the same command without --overwrite goes on from here"),
        (["edit-list", "RUN", "--check"], ""),
        (["doctor"], ""),
        (["verify", "out"], ""),
    ],
)
def test_only_a_command_that_goes_on_says_so(monkeypatch, capsys, argv, told):
    def act(arguments):
        raise KeyboardInterrupt

    monkeypatch.setitem(commands.COMMANDS, argv[0], _with(commands.COMMANDS[argv[0]], act))
    assert main(argv) == 130
    assert capsys.readouterr().err == f"explain: interrupted{told}\n"


def test_a_signal_that_is_ignored_stays_ignored(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert ending(monkeypatch, lambda arguments: os.kill(os.getpid(), signal.SIGHUP) or 0) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (SystemExit(0), 2, "called sys.exit(0)"),
        (OSError(28, "No space left on device"), 2, "explain: error: [Errno 28] No space left on device"),
        (ZeroDivisionError("x"), 3, "this is a defect of explainers"),
    ],
)
def test_what_ends_a_command_is_no_success_and_no_failed_image(monkeypatch, capsys, error, code, text):
    def act(arguments):
        raise error

    assert ending(monkeypatch, act) == code
    assert text in capsys.readouterr().err
