"""What a run says beside its result: warnings as notes, and failures by their reasons."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from .values import note, printable

NAMED = 3  # images of one failure that are named


@contextmanager
def warnings_as_notes(arguments: argparse.Namespace) -> Iterator[None]:
    """Inside, a warning is one line of the command, without path and source, and the same one is not said again."""
    said: set[str] = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        text = " ".join(str(message).split())
        if text not in said:
            said.add(text)
            note(arguments, printable(text))

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def tell_failures(failed: Iterable[tuple[str, str]]) -> None:
    """One line on stderr for each reason, with the images that it cost.

    Args:
        failed: (image, reason).
    """
    images: dict[str, list[str]] = {}
    for name, reason in failed:
        images.setdefault(reason, []).append(name)
    for reason, names in images.items():
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        listed = ", ".join(printable(name) for name in names[:NAMED])
        print(f"explain: failed: {listed}{more}: {printable(reason)}", file=sys.stderr)
