"""The folder that a command writes: one process at a time, what is done, whose files are whose."""

from __future__ import annotations

import json
import math
import re
import shutil
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from explainers.errors import DamageWarning, OptionError, WriteError
from explainers.storage.atomic import write_json
from explainers.storage.fingerprint import differences, fingerprint, named
from explainers.storage.journal import Journal, Row, sum_of
from explainers.storage.listing import Listing, listed, unlike
from explainers.storage.lock import LOCK, locked
from explainers.storage.owner import JOURNAL, MANIFEST, REPORT, command_of, read_json
from explainers.storage.paths import shown

__all__ = ["JOURNAL", "MANIFEST", "PROBE", "REPORT", "SCHEMA_VERSION", "Contents", "RunFolder", "near"]

SCHEMA_VERSION = 1  # of manifest.json and the tables beside it; docs/schemas has what they hold
PROBE = "probe"  # the fact whose numbers may differ in their last digits
NEAR = 1e-3


@dataclass(frozen=True)
class Contents:
    """What a command keeps in its folder.

    command: whose folder it is; files: names and patterns of its own files, in the order in which they are removed
    (what says that there is a run goes last); folders: of its own, with all that is in them.
    """

    command: str
    files: tuple[str, ...]
    folders: tuple[str, ...] = ()


class RunFolder:
    """A folder of one run, which can be killed at any moment and go on.

    A command holds the folder (`held`), begins with the facts that decide its results (`begin`), and notes each unit of
    its work (`note`) when every file of the unit is in place.
    """

    def __init__(self, path: Path, contents: Contents) -> None:
        self.path, self.contents = path, contents
        self.journal = Journal(path / JOURNAL)
        self.checked: set[str] | None = None  # units that the results are made of

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps other processes out, and removes what a killed one was writing.

        Raises:
            OptionError: another one is writing there. WriteError: the folder cannot be made.
        """
        with locked(self.path):
            self._sweep()
            yield

    def begin(self, facts: Mapping[str, Any], whole: Callable[[list[Row]], bool] = lambda rows: True) -> set[str]:
        """The units that an earlier run with the same facts has done, with all their files as they were written; starts
        the journal where there is none.

        Args:
            facts: plain values that decide the results; those below "probe" are measured, and equal where they are
                near; whole: whether an entry's rows still count as done.

        Raises:
            OptionError: the folder holds a run that differs, with what differs, or files of somebody else.
        """
        self.claim()
        facts = json.loads(json.dumps(facts, default=str))
        head = self.journal.head()
        if head is None and not self.journal.is_empty():
            raise OptionError(
                f"{shown(self.path)} holds a run whose journal does not say what decided its results (the first line "
                f"of {JOURNAL} is damaged, or an earlier version wrote it); choose another output folder, or start "
                "anew with overwrite (--overwrite)"
            )
        differing = [] if head is None else _differing(head["facts"], facts)
        if differing and any(whole(entry["rows"]) for entry in self.journal.entries()):  # else nothing would be lost
            other = " (the network gives something else for the same image: its code has changed)"
            code = other if all(each.startswith(f"{PROBE}.") for each in differing) else ""
            raise OptionError(
                f"{shown(self.path)} holds a run that differs in {named(differing)}{code}. Go on with its settings, "
                "choose another output folder (--out), or start anew with overwrite (--overwrite)"
            )
        if head is None and (self.path / MANIFEST).is_file():
            what = "is empty" if self.journal.path.is_file() else "is missing"
            warnings.warn(
                f"{shown(self.journal.path)} {what}, and nothing else tells what was done there: all of it is done "
                "again",
                DamageWarning,
                stacklevel=2,
            )
        if head is None or differing:
            owner = {"command": self.contents.command, "contents": [*self.contents.folders, *self.contents.files]}
            self.journal.start({**owner, "fingerprint": fingerprint(facts), "facts": facts})
            return set()
        return self.journal.done(lambda entry: whole(entry["rows"]) and not unlike(self.path, entry["files"]))

    def note(self, key: str, rows: list[Row], files: Collection[str] = ()) -> None:
        """Note a unit as done.

        Args:
            files: names of the unit's files within the folder; they were written before.

        Raises:
            WriteError: a file has gone, or the journal.
        """
        self.journal.append(key, rows, listed(self.path, files))

    def check(self, keys: Collection[str]) -> None:
        """See that what was done is there before it is reported: each unit is noted, and its files exist.

        Raises:
            WriteError: somebody has removed something meanwhile.
        """
        self.journal.check(keys)
        self.checked = set(keys)
        names = [name for entry in self.journal.entries(keys) for name in entry["files"]]
        lost = [name for name in names if not (self.path / name).exists()]
        if lost:
            more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
            raise WriteError(
                f"{shown(self.path / lost[0])}{more} was written by this run and has been removed meanwhile; the same "
                "command makes it again"
            )

    def manifest(self) -> dict[str, Any]:
        """What an earlier start wrote there, nothing where it cannot be read."""
        return read_json(self.path / MANIFEST) or {}

    def write_manifest(self, facts: Mapping[str, Any], files: Collection[str] = ()) -> None:
        """Everything needed to repeat the run, as JSON; what is none of JSON's values as text.

        Args:
            files: that the command made of all units together, to be listed with size and hash. Units of earlier
                starts that are no part of what was checked are listed as `stale`; of what is finished the journal is
                listed too.
        """
        own: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "command": self.contents.command}
        finished = facts.get("status") != "running" and self.journal.path.is_file()
        made: Listing = listed(self.path, [*files, *([JOURNAL] if finished else [])])
        if self.checked is not None:
            own["stale"] = [each["id"] for each in self.journal.entries() if each["id"] not in self.checked]
        values = {**own, **facts, **({"files": made} if made else {})}
        plain = json.loads(json.dumps(values, default=str))
        write_json(self.path / MANIFEST, {**plain, "sum": sum_of(plain)})

    def clear(self) -> None:
        """Remove what the command wrote here before, and nothing else.

        Raises:
            OptionError: what is there is another command's, or nobody knows whose.
        """
        self.claim()
        if JOURNAL in self.contents.files and not any((self.path / name).exists() for name in (JOURNAL, MANIFEST)):
            return  # nothing of ours, so a folder called maps is the user's
        self._sweep()
        for name in self.contents.folders:
            shutil.rmtree(self.path / name, ignore_errors=True)
        if self.path.is_dir():
            for name in self.contents.files:
                for path in self.path.glob(name):
                    path.unlink(missing_ok=True)

    def holds_others(self) -> bool:
        """Whether there is anything but what a killed start has left."""
        return any(path.name != LOCK and not self.is_torn(path) for path in self.path.iterdir())

    def is_torn(self, path: Path) -> bool:
        """Whether it is a file that a killed process was writing here."""
        found = re.fullmatch(r"\.(.+)\.\d+\.tmp", path.name)
        return found is not None and any(fnmatch(found[1], name) for name in self.contents.files)

    def claim(self) -> None:
        """See that the journal, the manifest and the folders, where there are some, are this command's.

        Raises:
            OptionError: they are not.
        """
        own = [name for name in (JOURNAL, MANIFEST) if name in self.contents.files]
        present = [path for path in map(self.path.joinpath, own) if path.is_file() and path.stat().st_size]
        told = {command_of(path) for path in present}
        if others := sorted(each for each in told if each and each != self.contents.command):
            raise OptionError(
                f"{shown(self.path)} holds the results of `explain {others[0]}`; choose another output folder (--out)"
            )
        if present and told == {None}:
            raise OptionError(
                f"{shown(present[0])} does not say which command wrote it: it is damaged, of an earlier version, or "
                "not of this program; choose another output folder (--out), or remove it"
            )
        full = [
            path for path in map(self.path.joinpath, self.contents.folders) if path.is_dir() and any(path.iterdir())
        ]
        full += [path for name in self.contents.files if name not in own for path in sorted(self.path.glob(name))]
        if own and full and not present:
            raise OptionError(
                f"{shown(full[0])} is there already, and no {JOURNAL} says that an earlier run wrote it; choose "
                "another output folder (--out), or remove it"
            )

    def _sweep(self) -> None:
        """Remove files that a killed process was writing here."""
        torn = [path for path in self.path.glob(".*.tmp") if self.is_torn(path)]
        for name in self.contents.folders:
            torn += [path for path in (self.path / name).rglob(".*.tmp") if re.search(r"\.\d+\.tmp$", path.name)]
        for path in torn:
            with suppress(OSError):
                path.unlink()


def _differing(before: Any, now: Any) -> list[str]:
    """In which facts two runs differ; those of the probe by more than its measure."""
    old, new = (facts if isinstance(facts, dict) else {} for facts in (before, now))
    found = differences(old, new, but=(("", PROBE),))
    return found if found or near(old.get(PROBE), new.get(PROBE)) else differences(old, new)


def near(before: Any, now: Any) -> bool:
    """Whether two trees of plain values are equal, numbers up to what another kernel or thread count changes."""
    if isinstance(before, dict) and isinstance(now, dict):
        return before.keys() == now.keys() and all(near(before[key], now[key]) for key in before)
    if isinstance(before, list) and isinstance(now, list):
        return len(before) == len(now) and all(map(near, before, now))
    if isinstance(before, float) and isinstance(now, float):
        return math.isclose(before, now, rel_tol=0, abs_tol=NEAR)
    return bool(before == now)
