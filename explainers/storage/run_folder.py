"""The folder that a command writes: one process at a time, what is done, whose files are whose."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from explainers.errors import OptionError
from explainers.storage.atomic import write_json
from explainers.storage.fingerprint import fingerprint
from explainers.storage.journal import Journal, Row
from explainers.storage.lock import LOCK, locked

JOURNAL, MANIFEST = "journal.jsonl", "manifest.json"


@dataclass(frozen=True)
class Contents:
    """What a command keeps in its folder.

    what: in what another run would differ, for refusals; files: names and patterns of its own files, in the order in
    which they are removed (what says that there is a run goes last); folders: of its own, with all that is in them.
    """

    what: str
    files: tuple[str, ...]
    folders: tuple[str, ...] = ()


class RunFolder:
    """A folder of one run, which can be killed at any moment and go on.

    A command holds the folder (`held`), begins with the facts that decide its results (`begin`), and notes each unit of
    its work (`journal.append`) when every file of the unit is in place.
    """

    def __init__(self, path: Path, contents: Contents) -> None:
        self.path, self.contents = path, contents
        self.journal = Journal(path / JOURNAL)

    def held(self) -> AbstractContextManager[None]:
        """Keeps other processes out.

        Raises:
            OptionError: another one is writing there. WriteError: the folder cannot be made.
        """
        return locked(self.path)

    def begin(self, facts: Mapping[str, Any], whole: Callable[[list[Row]], bool]) -> set[str]:
        """The units that an earlier run with the same facts has done; starts the journal where there is none.

        Args:
            facts: plain values that decide the results; whole: whether an entry's rows still count as done.

        Raises:
            OptionError: the folder holds a run that differs.
        """
        digest = fingerprint(facts)
        if not self.journal.continues(digest):
            if self.journal.has_entries():
                raise OptionError(
                    f"{self.path} holds a run with another {self.contents.what}; "
                    "choose another output folder, or start anew with overwrite (--overwrite)"
                )
            self.journal.start(digest)
            return set()
        return self.journal.done(whole)

    def write_manifest(self, facts: Mapping[str, Any]) -> None:
        """Everything needed to repeat the run, as JSON; what is none of JSON's values as text."""
        write_json(self.path / MANIFEST, dict(facts), default=str)

    def clear(self) -> None:
        """Remove what the command writes, and nothing else."""
        for name in self.contents.folders:
            shutil.rmtree(self.path / name, ignore_errors=True)
        if self.path.is_dir():
            for path in [path for path in self.path.iterdir() if self.is_torn(path)]:
                path.unlink(missing_ok=True)
            for name in self.contents.files:
                for path in self.path.glob(name):
                    path.unlink(missing_ok=True)

    def holds_others(self) -> bool:
        """Whether there is anything but what a killed start has left."""
        return any(path.name != LOCK and not self.is_torn(path) for path in self.path.iterdir())

    def is_torn(self, path: Path) -> bool:
        """Whether it is a file that a killed process was writing here."""
        names = "|".join(re.escape(name).replace(r"\*", ".*") for name in self.contents.files)
        return re.fullmatch(rf"\.({names})\.\d+\.tmp", path.name) is not None
