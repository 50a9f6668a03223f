"""`explain verify OUT`."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..arguments import common_arguments
from ..spelling import printable
from ..values import print_json

HELP = "check that the files of a finished run, evaluation or training are as they were written"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The folder."""
    command.add_argument("folder", metavar="OUT", help="what --out was")
    common_arguments(command)


def act(arguments: argparse.Namespace) -> int:
    """`explain verify OUT`: 0 where all is as it was written, 1 where it is not."""
    from explainers.storage.verify import verify

    found = verify(Path(arguments.folder))
    if arguments.json:
        print_json({"folder": arguments.folder, **vars(found), "whole": not found.problems})
    else:
        for problem in found.problems:
            print(printable(problem))
        state = f"{len(found.problems)} problems" if found.problems else "all as they were written"
        print(f"{printable(arguments.folder)} (explain {found.command}): {found.files} files listed, {state}")
    return 1 if found.problems else 0
