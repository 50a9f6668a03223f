"""Files as they were written, by size and hash."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from explainers.storage.atomic import unwritten
from explainers.storage.files import content_hash

Listing = dict[str, list[Any]]  # name within the folder → [size in bytes, SHA-256]


def listed(folder: Path, names: Iterable[str]) -> Listing:
    """The files of these names within a folder, as they are now.

    Raises:
        WriteError: one of them has gone.
    """
    found: Listing = {}
    for name in names:
        try:
            found[name] = _facts(folder / name)
        except OSError as error:
            raise unwritten(folder / name, error) from error
    return found


def unlike(folder: Path, listing: Any) -> dict[str, str]:
    """Files that are no longer as listed, and what is wrong with each."""
    if not isinstance(listing, Mapping):
        return {"": "the list of files is damaged"}
    wrong = {name: _wrong(folder / str(name), facts) for name, facts in listing.items()}
    return {str(name): reason for name, reason in wrong.items() if reason}


def _wrong(path: Path, facts: Any) -> str:
    try:
        size = path.stat().st_size
        if not isinstance(facts, list) or len(facts) != 2:
            return "the list of files is damaged"
        if size != facts[0]:
            return f"has {size} bytes; {facts[0]} were written"
        return "" if _facts(path) == facts else "has another content than was written"
    except FileNotFoundError:
        return "is missing"
    except (OSError, ValueError) as error:
        return f"cannot be read: {getattr(error, 'strerror', None) or error}"


def _facts(path: Path) -> list[Any]:
    return [path.stat().st_size, content_hash(path).hex()]
