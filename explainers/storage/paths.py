"""How messages print the name of a file, and what they say of one that is not there."""

from __future__ import annotations

import difflib
import os
from itertools import islice
from os import PathLike
from pathlib import Path

LOOKED_AT = 1000  # names in a folder among which the nearest is looked for
ALIKE = 0.7  # of difflib's ratio, from which on another name may be meant


def shown(path: str | PathLike[str]) -> str:
    """A path as messages print it: bytes that are no UTF-8, and what steers a terminal, as escapes."""
    plain = os.fspath(path).encode("utf-8", "backslashreplace").decode()
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in plain)


def not_there(path: str | PathLike[str], kind: str = "file or folder", expected: str = "") -> str:
    """What is said of a path that was named and is no such thing: what, where it was looked for, and what may be meant.

    Args:
        kind: what was looked for: a file, a folder, or either; expected: what else is to be said of it.

    >>> not_there("photso/cat.jpg")  # doctest: +SKIP
    'no file or folder photso/cat.jpg (nothing in /home/me is called photso); is photos/cat.jpg meant?'
    """
    path = Path(path)
    head, tail = f"no {kind} {shown(path)}", f"; {expected}" if expected else ""
    if os.path.lexists(path):
        kinds = {"a folder": path.is_dir(), "a file": path.is_file(), "a link to nothing": path.is_symlink()}
        found = next((name for name, own in kinds.items() if own), "neither a file nor a folder")
        return f"{head} (that is {found}){tail}"
    try:
        place, lost, rest = _lost(path)
        names = [name for name in islice(sorted(os.listdir(place)), LOOKED_AT) if not name.startswith(".")]
    except OSError:
        return head + tail
    if (place / lost).exists():
        return f"{head} ({shown(place / lost)} is no folder){tail}"
    said = path.is_absolute() and place == path.parent  # the path itself says where that is
    told = head + ("" if said else f" (nothing in {shown(place.resolve())} is called {shown(lost)})") + tail
    folded = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(lost.casefold(), folded, n=1, cutoff=ALIKE)
    if not near:
        return told
    meant = place / folded[near[0]]
    return f"{told}; is {shown(meant / rest if (meant / rest).exists() else meant)} meant?"


def unreadable(path: str | PathLike[str], error: OSError) -> str:
    """What is said of a file that could not be opened or read: that it is not there, or the system's reason."""
    if isinstance(error, FileNotFoundError):
        return not_there(path, "file")
    return f"cannot read {shown(path)}: {error.strerror or error}"


def _lost(path: Path) -> tuple[Path, str, Path]:
    """The folder down to which a path is there, the name that is not in it, and what follows that name."""
    place = path.parent
    while not place.is_dir() and place != place.parent:
        place = place.parent
    name, *rest = path.relative_to(place).parts
    return place, name, Path(*rest)
