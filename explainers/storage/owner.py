"""Whose folder it is, by what the command that wrote it left there."""

from __future__ import annotations

import json
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from explainers.storage.files import text_of
from explainers.storage.journal import Journal

JOURNAL, MANIFEST = "journal.jsonl", "manifest.json"
CONFIG = "run.json"  # of a training
REPORT = "report"  # the folder of the page that shows a run
MADE = ".explainers-made"  # in a folder of images that a command made for itself


def command_of(path: Path) -> str | None:
    """The command that wrote a journal or a manifest, or None where the file does not say so."""
    values = Journal(path).head() if path.name == JOURNAL else read_json(path)
    command = None if values is None else values.get("command")
    return command if isinstance(command, str) else None


def outputs_in(folder: Path) -> tuple[str, ...]:
    """Names and patterns of what a run has written into a folder; empty where there was none."""
    if not (folder / JOURNAL).is_file():
        return ()
    contents = (Journal(folder / JOURNAL).head() or {}).get("contents")
    return tuple(map(str, contents)) if isinstance(contents, list) else ()


def is_output(name: str, outputs: tuple[str, ...]) -> bool:
    """Whether a file or folder of this name is among them."""
    return any(fnmatch(name, pattern) for pattern in outputs)


def read_json(path: Path) -> dict[str, Any] | None:
    """What is in a file of JSON, None where it cannot be read or is no object."""
    try:
        values = json.loads(text_of(path))
    except (OSError, ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None
