"""The commands of `explain`, one a file: what can be typed behind it, and what is done then.

The table below is all that the parser and the dispatch know of them: a new command is a file and its name below. All
files are imported to print the help, which waits for nothing: at their top stands what their arguments need, that is
`arguments.py`, `values.py` and `explainers.errors`; what they act with is imported where they act. No command imports
another; what two of them share is a file of `cli`. Begin with
`listing/methods.py`, a small one.
"""

from __future__ import annotations

import argparse
from typing import Protocol

from . import demo, doctor, drift, edit_list, evaluate, export, layers, regions, report, run, train, verify
from .listing import methods, metrics, networks


class Command(Protocol):
    """What a command's file has. HELP: its line in the list of commands."""

    HELP: str

    def add_arguments(self, command: argparse.ArgumentParser) -> None:
        """Adds what can be typed."""

    def act(self, arguments: argparse.Namespace) -> int:
        """Does it, and returns the exit code."""


COMMANDS: dict[str, Command] = {  # in the order of the help
    "run": run,
    "demo": demo,
    "evaluate": evaluate,
    "drift": drift,
    "train": train,
    "edit-list": edit_list,
    "report": report,
    "regions": regions,
    "export": export,
    "verify": verify,
    "methods": methods,
    "metrics": metrics,
    "networks": networks,
    "layers": layers,
    "doctor": doctor,
}
