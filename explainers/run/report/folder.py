"""A run folder as a report reads it: whose it is, its journal, its manifest, and whether it came to its end."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from explainers.errors import DataError
from explainers.run.kinds import told_kind
from explainers.run.kinds.recordings import Recordings
from explainers.storage.csv_text import unescaped
from explainers.storage.files import text_of
from explainers.storage.journal import Journal, Row
from explainers.storage.owner import JOURNAL, MANIFEST
from explainers.storage.sought import not_written, written_by
from explainers.storage.verify import WRITERS


class ReadFolder:
    """Facts of a folder of `explain run`, `evaluate`, `drift` or `train`; nothing is written to it.

    Args:
        commands: one of which must have written it; purpose: what is made of it, for the error.

    Raises:
        DataError: none of them has.
    """

    def __init__(self, path: Path, commands: Collection[str] = WRITERS, purpose: str = "") -> None:
        command = written_by(path)
        if command is None or command not in commands:
            raise DataError(not_written(path, commands, purpose))
        self.path, self.command = path, command
        self.journal = Journal(path / JOURNAL)
        self.manifest = self.json(MANIFEST) or {}
        self.head = self.journal.head() or {}

    @property
    def facts(self) -> dict[str, Any]:
        """What decided the results."""
        return {**self.head.get("facts", {}), **self.manifest}

    @cached_property
    def kind(self) -> Recordings | None:
        """Of what the folder is, None of photos."""
        return told_kind(self.facts.get("preprocessing"))

    @property
    def status(self) -> str:
        """Empty where the command came to its end, else that it did not."""
        if self.manifest.get("status") == "done":
            return ""
        if self.manifest.get("status") == "failed":
            return "Nothing came of this run: every image failed."
        return (
            "This run has not come to its end: what follows is what it had done when the report was made. The same "
            "command goes on with it."
        )

    def units(self) -> Iterator[tuple[str, list[Row]]]:
        """The rows of each unit with its name, without images that are no longer part of the run."""
        stale = set(self.manifest.get("stale", []))
        for entry in self.journal.entries():
            if entry["rows"] and entry["id"] not in stale:
                yield entry["id"], entry["rows"]

    def json(self, name: str) -> dict[str, Any] | None:
        """A file of JSON, None where there is none that can be read."""
        try:
            values = json.loads(text_of(self.path / name))
        except (OSError, ValueError, RecursionError):
            return None
        return values if isinstance(values, dict) else None

    def table(self, name: str) -> list[dict[str, str]]:
        """The rows of a CSV file, none where there is no such file."""
        return list(self.rows(name))

    def rows(self, name: str) -> Iterator[dict[str, str]]:
        """The rows of a CSV file one after the other, none where there is no such file."""
        path = self.path / name
        if not path.is_file():
            return
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            for row in csv.DictReader(file):
                yield {key: unescaped(value or "") for key, value in row.items() if key}

    def columns(self, name: str) -> list[str]:
        """The names of a CSV file's columns, none where there is no such file."""
        path = self.path / name
        if not path.is_file():
            return []
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            return next(csv.reader(file), [])

    def inside(self, name: str) -> Path | None:
        """A file that a row names, within the folder."""
        path = self.path / name if name else None
        return path if path is not None and path.resolve().is_relative_to(self.path.resolve()) else None


def number(value: Any) -> float | None:
    """A finite number, None where it is none."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if abs(found) < float("inf") else None
