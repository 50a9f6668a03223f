"""The entry point: dispatch, errors to exit codes."""

from __future__ import annotations

import os
import sys

import explainers
from explainers.errors import ExplainersError

from .commands import COMMANDS
from .parser import parse
from .values import warnings_as_notes

OK, SOME_FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 (some images failed), 2 (usage, model), 130 (interrupted)."""
    try:
        arguments = parse(sys.argv[1:] if argv is None else argv)
    except SystemExit as leaving:
        return int(leaving.code or 0)
    try:
        if arguments.version:
            return _versions()
        with warnings_as_notes(arguments):
            return COMMANDS[arguments.command].act(arguments)
    except ExplainersError as error:
        if arguments.debug:
            raise
        print(f"explain: error: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("explain: interrupted; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has left (`explain methods | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def _versions() -> int:
    """`explain --version`."""
    import platform

    import torch

    print(f"explainers {explainers.__version__}, torch {torch.__version__}, Python {platform.python_version()}")
    return OK


def script() -> None:
    """The console script, in a process of its own."""
    from explainers.passes.freed_memory import keep_freed_memory

    keep_freed_memory()
    sys.exit(main())


if __name__ == "__main__":
    script()
