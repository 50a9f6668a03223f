"""Lists of text with a number and a value on each line, and what a folder must hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from explainers.data.images import ImageFile
from explainers.errors import DataError
from explainers.storage.files import text_of
from explainers.storage.paths import not_there, shown

Value = TypeVar("Value")
SHOWN = 5  # names that an error gives


def root_with(given: Path, inside: str, needed: Sequence[str], kind: str) -> Path:
    """The folder that holds what is needed: the given one, or the one called `inside` in it.

    Raises:
        DataError: something is missing, with all of it.
    """
    root = given / inside if (given / inside).is_dir() else given
    missing = [name for name in needed if not (root / name).exists()]
    if missing:
        raise DataError(
            f"{shown(root)} has no {', '.join(missing)}; expected {kind} as distributed, with {', '.join(needed)}"
        )
    return root


def lines_of(path: Path) -> list[tuple[int, str]]:
    """Lines of a text file that are not empty, with their numbers.

    Raises:
        DataError: it is not there, no text, or has no line.
    """
    try:
        text = text_of(path)
    except FileNotFoundError as error:
        raise DataError(not_there(path, "file")) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{shown(path)} cannot be read as text: {error}") from error
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise DataError(f"{shown(path)} is empty")
    return lines


def numbered(path: Path, value: Callable[[str], Value], expected: str) -> dict[int, Value]:
    """What a list of lines `NUMBER VALUE` gives, by the number.

    Args:
        value: from the text behind the number, ValueError where it is none; expected: what it may be, for the error.

    Raises:
        DataError: another line, a number twice, or no file.
    """
    found: dict[int, Value] = {}
    for place, line in lines_of(path):
        number, _, rest = line.partition(" ")
        where = f"{shown(path)}, line {place}"
        try:
            key, item = int(number), value(rest.strip())
        except ValueError as error:
            raise DataError(f"{where}: expected a number and {expected}, found {line!r}") from error
        if key in found:
            raise DataError(f"{where}: number {key} stands there for the second time")
        found[key] = item
    return found


def str_of(text: str) -> str:
    """The text behind a number; ValueError where there is none."""
    if not text:
        raise ValueError(text)
    return text


def refuse_gaps(names: Mapping[int, str], images: Path, others: Mapping[Path, Iterable[int]]) -> None:
    """See that other lists have the numbers of the list of images, all of them and no others.

    Raises:
        DataError: one has not.
    """
    for path, numbers in others.items():
        lacking = sorted(set(names) - set(numbers))
        if lacking:
            raise DataError(f"{shown(path)} has no line of {_told([f'{n} ({shown(names[n])})' for n in lacking])}")
        strange = sorted(set(numbers) - set(names))
        if strange:
            raise DataError(
                f"{shown(path)} has lines of {_told(map(str, strange))}, which {shown(images)} does not name"
            )


def existing(folder: Path, names: Sequence[str], source: Path) -> list[ImageFile]:
    """The image files of these names below a folder.

    Raises:
        DataError: some are not there, or a name leads out of the folder or stands there twice.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen or Path(name).is_absolute() or ".." in Path(name).parts:
            raise DataError(f"{shown(source)} names {shown(name)} {'twice' if name in seen else 'outside its folder'}")
        seen.add(name)
    missing = [shown(name) for name in names if not (folder / name).is_file()]
    if missing:
        raise DataError(f"{shown(folder)} lacks {_told(missing)}, which {shown(source)} names")
    return [ImageFile(folder / name, name) for name in names]


def masks_of(files: Sequence[ImageFile], folder: Path, suffix: str, what: str) -> dict[str, tuple[Path, ...]]:
    """By an image's name the file of the same path below another folder.

    Raises:
        DataError: some are not there.
    """
    found: dict[str, tuple[Path, ...]] = {file.name: ((folder / file.name).with_suffix(suffix),) for file in files}
    missing = [shown(name) for name, (path,) in found.items() if not path.is_file()]
    if missing:
        raise DataError(f"{shown(folder)} lacks {what} of {_told(missing)}; without the folder there are none")
    return found


def _told(names: Iterable[str]) -> str:
    told = list(names)
    more = f" and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
    return ", ".join(told[:SHOWN]) + more
