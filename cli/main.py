"""The entry point: dispatch, errors to exit codes."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import explainers
from explainers.errors import ExplainersError

from .commands import COMMANDS
from .parser import parse
from .spelling import error_text, printable
from .terminal.telling import warnings_as_notes
from .values import json_alone

PACKAGE = __name__.rpartition(".")[0]
OK, SOME_FAILED, USAGE, DEFECT, INTERRUPTED = 0, 1, 2, 3, 130


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    0; 1: some images failed; 2: nothing came of it, for a reason that was printed (usage, model, files); 3: a defect of
    this program, printed with where it is; 130: interrupted, by SIGINT, SIGTERM or SIGHUP.
    """
    try:
        arguments = parse(sys.argv[1:] if argv is None else argv)
    except SystemExit as leaving:
        try:
            sys.stdout.flush()  # the help
        except OSError as error:
            _print_no_more()
            print(f"explain: error: cannot print: {error.strerror}", file=sys.stderr)
            return USAGE
        return int(leaving.code or 0)
    try:
        json_asked = bool(getattr(arguments, "json", False))
        with _interrupting(), warnings_as_notes(arguments), json_alone(json_asked):
            code = _versions() if arguments.version else COMMANDS[arguments.command].act(arguments)
            sys.stdout.flush()  # what cannot be printed is told here, and not by Python as it ends
            return code
    except ExplainersError as error:
        if arguments.debug:
            raise
        print(f"explain: error: {error_text(error, arguments)}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print(f"explain: interrupted{_going_on(arguments)}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _print_no_more()  # the reader of our output has left (`explain methods | head`)
        return OK
    except SystemExit as leaving:
        print(f"explain: error: code of yours called sys.exit({leaving.code!r}); nothing is finished", file=sys.stderr)
        return USAGE
    except OSError as error:
        if getattr(arguments, "debug", False):
            raise
        if printing := _is_of_printing(error):
            _print_no_more()
        of_file = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        what = f"cannot print: {error.strerror}" if printing else printable(of_file)
        print(f"explain: error: {what}", file=sys.stderr)
        return USAGE
    except Exception:
        traceback.print_exc()
        print("explain: this is a defect of explainers; please report it with the lines above", file=sys.stderr)
        return DEFECT


def _is_of_printing(error: OSError) -> bool:
    """Whether it was raised where the command prints, and so is of its output: the library's own errors name a file."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return error.filename is None and str(frames[-1].f_globals.get("__name__", "")).startswith(PACKAGE)


def _print_no_more() -> None:
    """Has what is still to be printed go nowhere, so that Python does not fail at it again when it ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _going_on(arguments: argparse.Namespace) -> str:
    """What becomes of what an interrupted command has done: those that keep it have --overwrite, to begin anew."""
    if not hasattr(arguments, "overwrite") or getattr(arguments, "check", False):
        return ""
    if arguments.overwrite:
        return "; the same command without --overwrite goes on from here"
    return "; the same command goes on from here"


@contextmanager
def _interrupting() -> Iterator[None]:
    """SIGTERM and SIGHUP end a command as Ctrl-C does, where nobody has decided otherwise (nohup)."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {}
    if threading.current_thread() is threading.main_thread():
        numbers = [getattr(signal, name) for name in names]
        before = {each: signal.getsignal(each) for each in numbers if signal.getsignal(each) == signal.SIG_DFL}
    for number in before:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _versions() -> int:
    """`explain --version`, which waits for no import of torch."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = "not installed"
    print(f"explainers {explainers.__version__}, torch {torch}, Python {platform.python_version()}")
    return OK


def _fill_closed() -> None:
    """Opens what the shell has closed (`2>&-`), or the next file that is written would be taken for it, and what a
    library prints would go into that file."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            stream = os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
            setattr(sys, name, stream)


def script() -> None:
    """The console script, in a process of its own."""
    _fill_closed()
    from explainers.passes.freed_memory import keep_freed_memory

    keep_freed_memory()
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # read at its import; what it says of a file names none
    sys.exit(main())


if __name__ == "__main__":
    script()
