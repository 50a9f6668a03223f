"""What a run says beside its result: warnings as notes, and failures by their reasons."""

from __future__ import annotations

import argparse
import io
import re
import shutil
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

from explainers.errors import DamageWarning
from explainers.storage.paths import shown

from ..spelling import as_typed, printable
from ..values import note

NAMED = 3  # images of one failure that are named


@contextmanager
def warnings_as_notes(arguments: argparse.Namespace) -> Iterator[None]:
    """Inside, a warning is one line of the command, without path and source, and the same one is not said again; one
    of damage is said under --quiet too."""
    said: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        text = " ".join(str(message).split())
        if text not in said:
            said.add(text)
            note(arguments, text, always=issubclass(category, DamageWarning))

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


class _Downloads(io.TextIOBase):
    """A stream that hands on what is written, but for torch's lines on what it fetches, which become notes."""

    def __init__(self, stream: TextIO, arguments: argparse.Namespace) -> None:
        self.stream, self.arguments = stream, arguments

    def write(self, text: str) -> int:
        found = re.fullmatch(r'Downloading: "(?P<url>.*)" to (?P<file>.*)\n?', text)
        if found:
            note(self.arguments, f"fetching {found['url']} to {found['file']}")
        else:
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        self.stream.flush()

    def fileno(self) -> int:
        return self.stream.fileno()

    def isatty(self) -> bool:
        return self.stream.isatty()


@contextmanager
def downloads_as_notes(arguments: argparse.Namespace) -> Iterator[None]:
    """Inside, what torch says of weights that it fetches is a note, and not on stdout."""
    with redirect_stdout(_Downloads(sys.stdout, arguments)):
        yield


def tell_failures(failed: Iterable[tuple[str, str]], folder: str | Path | None = None) -> None:
    """One line on stderr for each reason, with the images that it cost.

    Args:
        failed: (image, reason); folder: that the images lie in, or the only image: reasons that differ in the path of
            a file, or in numbers with a point, are one, and the first is told.
    """
    images: dict[str, list[tuple[str, str]]] = {}
    for name, reason in failed:
        images.setdefault(_of_any_image(_without_path(reason, name, folder)), []).append((name, reason))
    for group in images.values():
        more = f" and {len(group) - NAMED} more" if len(group) > NAMED else ""
        listed = ", ".join(printable(name) for name, _ in group[:NAMED])
        name, reason = group[0]
        reason = _without_path(reason, name, folder) if len(group) > 1 else reason
        print(f"explain: failed: {listed}{more}: {printable(as_typed(reason))}", file=sys.stderr)


def _without_path(reason: str, name: str, folder: str | Path | None) -> str:
    """A reason that may name the image's file, in words that are the same for any image."""
    return reason if folder is None else reason.replace(shown(Path(folder) / name), "the file")


def _of_any_image(reason: str) -> str:
    """A reason without what is of one image alone: files that it names, and what was measured, such as a score."""
    return re.sub(r"-?\d+\.\d+(e[+-]?\d+)?|\S*/\S+", "…", reason)


def tell_tables(summary: Any, out: Path) -> None:
    """Print a summary's table in the terminal's width, and where tables and figures are."""
    width = max(80, shutil.get_terminal_size((160, 24)).columns)
    print("\n".join(printable(line) for line in summary.text(width).split("\n")))
    print(f"\ntables and figures  {printable(str(out))}")


def exit_code(failed: bool, made: bool) -> int:
    """1 where some images failed; 2 where nothing came of any, whatever the reason of each."""
    return (1 if made else 2) if failed else 0
