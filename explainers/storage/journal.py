"""What a run has done, kept so that it can be killed at any moment and go on."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from explainers.errors import DamageWarning, WriteError
from explainers.storage.atomic import unwritten, write_bytes
from explainers.storage.files import opened
from explainers.storage.paths import shown

Row = dict[str, Any]


class Journal:
    """An append-only file of finished units of work, one line of JSON each with all rows of the unit and its files.

    A line is written when every file of the unit is on the disk, so what it names exists. Each line has a sum of its
    own: one that was torn or damaged is as none, and its unit is done again. The first line tells of which run the
    others are.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._identity: tuple[int, int] | None = None  # of the file that was started or gone on with

    def head(self) -> Row | None:
        """The first line, where it is whole."""
        first = next(iter(_lines(self.path)), None)
        return None if first is None or first[1] is None or "facts" not in first[1] else first[1]

    def is_empty(self) -> bool:
        """Whether there is none, or nothing in it."""
        return not self.path.is_file() or not self.path.stat().st_size

    def start(self, head: Row) -> None:
        """Begin with nothing done."""
        write_bytes(self.path, _sealed(head))
        self._identity = _identity(self.path)

    def done(self, whole: Callable[[Row], bool]) -> set[str]:
        """The units whose last line is whole, as the caller sees it: files may have been changed or deleted since.

        A last line that a kill has torn is cut off. Other lines that cannot be read are taken out with a warning.
        """
        self._cut_torn_line()
        self._take_out_damaged_lines()
        self._identity = _identity(self.path)
        return {entry["id"] for entry in self.entries() if whole(entry)}

    def append(self, key: str, rows: list[Row], files: Mapping[str, Any]) -> None:
        """Note a unit as done.

        Args:
            files: the unit's files, as `listed`; they are on the disk.

        Raises:
            WriteError: it cannot be written, or the journal is no longer where it was.
        """
        line = _sealed({"id": key, "rows": rows, "files": dict(files)})
        try:
            with self.path.open("r+b") as file:  # which makes no file, should somebody have removed it
                state = os.fstat(file.fileno())
                if self._identity not in (None, (state.st_dev, state.st_ino)):
                    raise gone(self.path)
                end = file.seek(0, os.SEEK_END)
                try:
                    file.write(line)
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(end)
                    raise
        except FileNotFoundError as error:
            raise gone(self.path) from error
        except OSError as error:
            raise unwritten(self.path, error) from error

    def entries(self, keys: Iterable[str] | None = None) -> Iterator[Row]:
        """Each unit's last whole line; in the order of `keys`, or of the file."""
        places = self._places()
        if not places:
            return
        with opened(self.path) as file:
            for key in places if keys is None else keys:
                if key in places:
                    file.seek(places[key])
                    yield _opened(file.readline()) or {}

    def units(self, keys: Iterable[str] | None = None) -> Iterator[list[Row]]:
        """The rows of each unit."""
        for entry in self.entries(keys):
            yield entry["rows"]

    def rows(self, keys: Iterable[str] | None = None) -> Iterator[Row]:
        """All rows, one after the other."""
        for rows in self.units(keys):
            yield from rows

    def damaged(self) -> int:
        """How many lines cannot be read."""
        return sum(entry is None for _, entry in _lines(self.path))

    def check(self, keys: Collection[str]) -> None:
        """See that these units are noted.

        Raises:
            WriteError: the journal was removed or changed while the run was going on.
        """
        if not self.path.exists() or set(keys) - set(self._places()):
            raise gone(self.path)

    def _places(self) -> dict[str, int]:
        """Where each unit's last whole line begins, in the order of the file."""
        found: dict[str, int] = {}
        for place, entry in _lines(self.path):
            if entry is not None and "id" in entry:
                found.pop(entry["id"], None)
                found[entry["id"]] = place
        return found

    def _cut_torn_line(self) -> None:
        with opened(self.path) as file:
            data = file.read()
        if data and not data.endswith(b"\n"):
            write_bytes(self.path, data[: data.rfind(b"\n") + 1])

    def _take_out_damaged_lines(self) -> None:
        damaged = self.damaged()
        if not damaged:
            return
        with opened(self.path) as file:
            kept = b"".join(line for line in file if _opened(line) is not None)
        write_bytes(self.path, kept)
        told, of_it = ("1 line is", "it") if damaged == 1 else (f"{damaged} lines are", "them")
        warnings.warn(
            f"{shown(self.path)}: {told} damaged; what was noted in {of_it} is done again where no other line has it",
            DamageWarning,
            stacklevel=4,
        )


def gone(path: Path) -> WriteError:
    """What to raise when a journal has disappeared during a run."""
    return WriteError(
        f"{shown(path)} is no longer the file that this run was writing: its folder was removed or replaced meanwhile, "
        "and what was there is lost; the same command begins again"
    )


def _lines(path: Path) -> Iterator[tuple[int, Row | None]]:
    """Where each line begins, and what it says; None for one that was torn or damaged."""
    try:
        with opened(path) as file:
            place = 0
            for line in file:
                yield place, _opened(line)
                place += len(line)
    except FileNotFoundError:
        return


def _sealed(entry: Row) -> bytes:
    """An entry as a line, with a sum over it."""
    return (json.dumps({**entry, "sum": sum_of(entry)}) + "\n").encode("ascii")


def _opened(line: bytes) -> Row | None:
    try:
        entry = json.loads(line) if line.endswith(b"\n") else None
        if isinstance(entry, dict) and entry.pop("sum", "") == sum_of(entry):
            return entry
    except (ValueError, RecursionError):
        pass
    return None


def sum_of(entry: Row) -> str:
    """What tells plain values from any others."""
    return hashlib.sha256(json.dumps(entry, sort_keys=True).encode("ascii")).hexdigest()[:16]


def _identity(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_dev, state.st_ino
