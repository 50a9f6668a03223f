"""What a run has done, kept so that it can be killed at any moment and go on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from explainers.storage.atomic import write_bytes

Row = dict[str, Any]


class Journal:
    """An append-only file of finished units of work, one line of JSON each with all rows of the unit.

    A line is written when every file of the unit is in place, so what it names exists. A torn last line is dropped. The
    first line tells of which run the others are.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def continues(self, digest: str) -> bool:
        """Whether the lines are of the run with this fingerprint."""
        return self.path.exists() and next(_lines(self.path), {}).get("fingerprint") == digest

    def has_entries(self) -> bool:
        """Whether anything was done; a start that did nothing has none."""
        return self.path.exists() and any("id" in entry for entry in _lines(self.path))

    def start(self, digest: str) -> None:
        """Begin with nothing done."""
        write_bytes(self.path, (json.dumps({"fingerprint": digest}) + "\n").encode())

    def done(self, whole: Callable[[list[Row]], bool]) -> set[str]:
        """The units that are noted and still whole: the folder may have moved and files may have been deleted since."""
        found = {entry["id"] for entry in _lines(self.path) if "id" in entry and whole(entry["rows"])}
        self._cut_torn_line()
        return found

    def append(self, key: str, rows: list[Row]) -> None:
        """Note a unit as done."""
        line = json.dumps({"id": key, "rows": rows}, ensure_ascii=True) + "\n"
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def entries(self) -> Iterator[tuple[str, list[Row]]]:
        """Each unit's key and rows, the last entry where there are several (a failed image that was tried again)."""
        last = {entry["id"]: number for number, entry in enumerate(_lines(self.path)) if "id" in entry}
        for number, entry in enumerate(_lines(self.path)):
            if "id" in entry and last[entry["id"]] == number:
                yield entry["id"], entry["rows"]

    def units(self) -> Iterator[list[Row]]:
        """The rows of each unit."""
        for _, rows in self.entries():
            yield rows

    def rows(self) -> Iterator[Row]:
        """All rows, one after the other."""
        for rows in self.units():
            yield from rows

    def _cut_torn_line(self) -> None:
        data = self.path.read_bytes()
        if data and not data.endswith(b"\n"):
            write_bytes(self.path, data[: data.rfind(b"\n") + 1])


def _lines(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue  # torn by a kill; the unit is done again
