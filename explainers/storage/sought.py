"""What is said of a path that should be a folder which a command wrote, and is none: what it is, and what to give."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path

from explainers.storage.owner import CONFIG, JOURNAL, MANIFEST, command_of
from explainers.storage.paths import shown

TRAIN = "train"
NAMED = 3  # folders that are offered instead
LOOKED_AT = 1000  # names in the folder where they are looked for


def written_by(folder: Path) -> str | None:
    """The command whose folder it is, None where nothing in it says so."""
    if (folder / CONFIG).is_file():
        return TRAIN
    told = (command_of(folder / name) for name in (JOURNAL, MANIFEST) if (folder / name).is_file())
    return next(filter(None, told), None)


def not_written(path: Path, commands: Collection[str], purpose: str = "", instead: str = "") -> str:
    """One sentence for the error of whoever expected the folder of one of these commands.

    Args:
        purpose: what is made of the folder, such as "Zarr"; instead: what would do as well, such as "files of weights".
    """
    near = list(islice(_near(path, commands), NAMED))
    wanted = f"the folder that explain {_listed(commands)} wrote"
    give = f"give {instead}, or {wanted}" if instead else f"give {wanted}"
    such_as = f", such as {_listed([shown(each) for each in near])}" if near else ""
    return f"{_what_it_is(path, commands)}; {f'for {purpose} ' if purpose else ''}{give}{such_as}"


def _what_it_is(path: Path, commands: Collection[str]) -> str:
    name = shown(path)
    if not path.exists():
        return f"there is no {name}"
    if not path.is_dir():
        return f"{name} is a file"
    if command := written_by(path):
        return f"{name} was written by explain {command}"
    files = [CONFIG] if set(commands) == {TRAIN} else [JOURNAL, MANIFEST, *([CONFIG] if TRAIN in commands else [])]
    lacking = "it is empty" if not any(path.iterdir()) else f"no {_listed(files)}"
    return f"{name} holds nothing of explain {_listed(commands)} ({lacking})"


def _near(path: Path, commands: Collection[str]) -> Iterator[Path]:
    """Folders of these commands: those that the path lies in, those in it, or beside it, the likest name first."""
    if path.exists() and not path.is_dir():
        places = list(path.parents)[:2]  # OUT/results.csv, OUT/report/index.html
    else:
        place = path if path.exists() else path.parent
        beside = sorted(islice(place.glob("*"), LOOKED_AT)) if place.is_dir() else []
        likeness = {each: difflib.SequenceMatcher(None, each.name, path.name).ratio() for each in beside}
        places = beside if place == path else sorted(beside, key=lambda each: -likeness[each])
    return (each for each in places if written_by(each) in commands)


def _listed(names: Collection[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last
