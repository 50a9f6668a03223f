"""Whether a finished folder is as it was written, as far as its files are listed."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from explainers.errors import DataError
from explainers.storage.files import text_of
from explainers.storage.fingerprint import fingerprint
from explainers.storage.journal import Journal, sum_of
from explainers.storage.listing import unlike
from explainers.storage.owner import CONFIG, JOURNAL, MANIFEST, REPORT, read_json
from explainers.storage.paths import shown
from explainers.storage.sought import not_written

RESULT, EPOCHS = "result.json", "epochs"  # of a training
LISTING_ALL = ("run", "evaluate")  # commands that list every file in their folders; others' are for people to paint on
WRITERS = ("run", "evaluate", "drift", "train")


@dataclass
class Verified:
    """What was found. command: that wrote the folder; files: how many are listed; problems: what is wrong, in words."""

    command: str
    files: int = 0
    units: int = 0
    problems: list[str] = field(default_factory=list)

    def hold(self, folder: Path, listing: Any) -> None:
        """Compare files with a list of them."""
        self.files += len(listing) if isinstance(listing, dict) else 0
        self.problems += [f"{shown(name)} {reason}".strip() for name, reason in unlike(folder, listing).items()]


def verify(folder: Path) -> Verified:
    """Compare what a run, an evaluation or a training has left with what it noted of it.

    Raises:
        DataError: there is no such folder, or nothing in it that says what was written.
    """
    if (folder / CONFIG).is_file():
        return _training(folder)
    if not any((folder / name).is_file() for name in (JOURNAL, MANIFEST)):
        raise DataError(not_written(folder, WRITERS))
    journal = Journal(folder / JOURNAL)
    head, manifest = journal.head(), read_json(folder / MANIFEST)
    found = Verified(str((head or manifest or {}).get("command", "unknown")))
    if not (folder / JOURNAL).is_file():
        found.problems.append(f"{JOURNAL} is missing")
    elif not (folder / JOURNAL).stat().st_size:
        found.problems.append(f"{JOURNAL} is empty; the same command does everything again")
    elif head is None:
        found.problems.append(f"{JOURNAL}: the first line is damaged, or an earlier version wrote it")
    elif head.get("fingerprint") != fingerprint(head["facts"]):
        found.problems.append(f"{JOURNAL}: the first line does not fit its fingerprint")
    if (damaged := journal.damaged() - (head is None)) > 0:  # the first line is told of above
        lines = "1 line is" if damaged == 1 else f"{damaged} lines are"
        found.problems.append(f"{JOURNAL}: {lines} damaged; the same command does the images in question again")
    stale = (manifest or {}).get("stale", [])
    known, told = [REPORT], bool(found.problems)
    written: dict[str, Any] = {}  # by the last unit that wrote each file: an image may have been another one before
    for entry in journal.entries():
        known += entry["files"]
        if not isinstance(stale, list) or entry["id"] not in stale:
            found.units += 1
            written |= entry["files"]
    found.hold(folder, written)
    if manifest is None:
        found.problems.append(f"{MANIFEST} is missing or damaged")
    else:
        if manifest.get("status") == "failed":
            found.problems.append("nothing came of the run: every image failed")
        elif manifest.get("status") != "done":
            found.problems.append(f"the run is not finished (its status is {manifest.get('status')!r})")
        text = json.dumps(manifest, indent=2) + "\n"
        if manifest.pop("sum", None) != sum_of(manifest) or text_of(folder / MANIFEST) != text:
            found.problems.append(f"{MANIFEST} has another content than was written, or an earlier version wrote it")
        made = manifest.get("files", {})
        if told and isinstance(made, dict):
            made.pop(JOURNAL, None)
        found.hold(folder, made)
        known += made if isinstance(made, dict) else []
    if not any(problem.startswith((JOURNAL, MANIFEST)) for problem in found.problems):  # which say what was written
        why = "is not listed: something else wrote it, or a run that was stopped"
        found.problems += [f"{shown(name)} {why}" for name in _strange(folder, head, known)]
    return found


def _strange(folder: Path, head: Any, known: Collection[str]) -> list[str]:
    """Files in the folders of a command that it did not write."""
    if (head or {}).get("command") not in LISTING_ALL:
        return []
    own = [folder / str(name) for name in (head or {}).get("contents", ()) if name not in known]
    inside = (path for each in own if each.is_dir() for path in each.rglob("*") if not path.is_dir())
    written = set(known)
    return sorted(name for path in inside if (name := path.relative_to(folder).as_posix()) not in written)


def _training(folder: Path) -> Verified:
    found = Verified("train")
    result = read_json(folder / RESULT)
    if read_json(folder / CONFIG) is None:
        found.problems.append(f"{CONFIG} is damaged")
    if result is None:
        missing = not (folder / RESULT).exists()
        found.problems.append("the training is not finished" if missing else f"{RESULT} is damaged")
    elif "files" not in result:
        found.problems.append(f"{RESULT} lists no files: an earlier version wrote it")
    else:
        found.hold(folder, result["files"])
        kept = sorted(f"{EPOCHS}/{path.name}" for path in (folder / EPOCHS).glob("*.safetensors"))
        strange = [name for name in kept if isinstance(result["files"], dict) and name not in result["files"]]
        why = "is not listed: an earlier version, or somebody else, wrote it"
        found.problems += [f"{shown(name)} {why}" for name in strange]
    return found
