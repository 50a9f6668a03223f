"""Files that name classes in their order: one a line, or JSON."""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import Any

from explainers.errors import OptionError
from explainers.storage.files import text_of
from explainers.storage.paths import shown, unreadable

EXPECTED = 'a name a line, or JSON: a list of names, or {"0": name, "1": name, …}'


def read_class_names(file: str | PathLike[str]) -> tuple[str, ...]:
    """The names, the first that of class 0. Empty lines do not count.

    In JSON a name may be a list that ends with it, as in ImageNet's class index (`["n01440764", "tench"]`).

    Raises:
        OptionError: no such file, no text in UTF-8, other JSON, a missing index between others, or no name at all.
    """
    path = Path(file)
    try:
        text = text_of(path)
    except UnicodeDecodeError as error:
        raise OptionError(
            f"labels file {shown(path)} is no text in UTF-8 ({error.reason}); save it as UTF-8"
        ) from error
    except OSError as error:
        raise OptionError(f"labels: {unreadable(path, error)}") from error
    if path.suffix.lower() == ".json":
        names = _of_json(path, text)
    else:
        names = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not names:
        raise OptionError(f"labels file {shown(path)} names no classes; expected {EXPECTED}")
    return names


def _of_json(path: Path, text: str) -> tuple[str, ...]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise OptionError(f"labels file {shown(path)} is no JSON: {error}") from error
    if isinstance(found, dict):
        indices = [str(index) for index in range(len(found))]
        if missing := [index for index in indices if index not in found]:
            known = set(indices)
            other = next(key for key in found if key not in known)
            raise OptionError(
                f"labels file {shown(path)} has no class {missing[0]}, but {other!r}; expected {EXPECTED}, the indices "
                "without a gap"
            )
        found = [found[index] for index in indices]
    if not isinstance(found, list):
        raise OptionError(f"labels file {shown(path)} holds {type(found).__name__}; expected {EXPECTED}")
    return tuple(_name(path, index, entry) for index, entry in enumerate(found))


def _name(path: Path, index: int, entry: Any) -> str:
    name = entry[-1] if isinstance(entry, list) and entry else entry
    if isinstance(name, bool) or not isinstance(name, (str, int, float)):
        raise OptionError(f"labels file {shown(path)}: class {index} is {entry!r}; expected {EXPECTED}")
    return str(name)
