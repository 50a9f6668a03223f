"""What exporters share: the finished folder that is read, the place that is written, and what is told afterwards."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from explainers import __version__
from explainers.errors import DataError, DependencyError, MapError, OptionError, counted
from explainers.run.report.folder import ReadFolder
from explainers.run.report.maps import load
from explainers.storage.atomic import unfinished, unwritten
from explainers.storage.journal import Row
from explainers.storage.owner import MADE
from explainers.storage.paths import shown
from explainers.storage.run_folder import SCHEMA_VERSION

SOURCE = ".npz"  # of photos; maps of volumes and signals are files of their own format already
TOLD = ("file", "method", "layer", "target", "target_name", "target_probability", "status")
Named = tuple[tuple[str, str], ...]
Own = Callable[[Path], bool]


@dataclass(frozen=True)
class Exported:
    """What was written. path: the file or folder; counts: how many of what, by its name in the singular; left_out:
    images and methods that are not in it, each with the reason; constant: those whose map is the same everywhere;
    noun: what each of them is."""

    path: Path
    counts: Mapping[str, int]
    left_out: Named = ()
    constant: tuple[str, ...] = ()
    noun: str = "map"

    def remarks(self) -> Iterator[tuple[str, Named, int]]:
        """What the user should know: a line, what it is said of with the reason, and of how many it is."""
        if self.left_out:
            yield f"{counted(len(self.left_out), self.noun)} left out:", self.left_out, len(self.left_out)
        if self.constant:
            same = tuple((title, "constant") for title in self.constant)
            yield f"{counted(len(same), self.noun)} the same everywhere:", same, len(same)

    def facts(self) -> dict[str, Any]:
        """The same as plain values."""
        made = {f"{name}s": count for name, count in self.counts.items()}
        return {"out": str(self.path), **made, "left_out": self.left_out, "constant": self.constant}


def finished(folder: str | PathLike[str], commands: Collection[str], what: str) -> ReadFolder:
    """A folder that one of the commands has written to its end.

    Args:
        what: is made of it, such as "Zarr", for the error.

    Raises:
        DataError: it holds nothing of them, or has not come to its end.
    """
    read = ReadFolder(Path(folder), commands, what)
    if read.manifest.get("status") not in ("done", "failed"):
        raise DataError(f"{shown(folder)} has not come to its end; the same explain {read.command} goes on with it")
    return read


def library(module: str, extra: str, what: str) -> Any:
    """A module that not every installation has.

    Raises:
        DependencyError: it is missing; the line names the extra.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise DependencyError(
            f"{what} needs {module.partition('.')[0]} ({error}): pip install 'explainers[{extra}]'"
        ) from error


def facts_of(row: Row, **more: Any) -> dict[str, Any]:
    """What a file or array says of its map: image, method, layer, target, and more that is given."""
    return {**{key: plain(row[key]) for key in TOLD if row.get(key) not in (None, "")}, **more}


def plain(value: Any) -> Any:
    """A text that UTF-8 can hold: bytes of a file's name that are none as escapes; other values as they are."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def origin(read: ReadFolder) -> dict[str, Any]:
    """What an export says of where it comes from."""
    return {"schema_version": SCHEMA_VERSION, "explainers": __version__, "command": f"explain {read.command}"}


@dataclass
class Maps:
    """The maps of photos in a run, one after the other; what has none is noted on the way.

    Raises:
        DataError: there are none at all.
    """

    read: ReadFolder
    left_out: list[tuple[str, str]] = field(default_factory=list)
    constant: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not any(_is_photo(row) for _, unit in self.read.units() for row in unit):
            raise DataError(f"{shown(self.read.path)} holds no maps of photos (was it made with --no-maps?)")

    def __iter__(self) -> Iterator[tuple[Row, Path]]:
        for _, unit in self.read.units():
            for row in unit:
                path = self.read.inside(str(row["map"])) if _is_photo(row) else None
                if path is None:
                    kept = "its map is a file of its own format" if row.get("map") else "it has no map"
                    self.leave_out(row, str(row.get("reason") or kept))
                else:
                    yield row, path

    def loaded(self) -> Iterator[tuple[Row, np.ndarray, dict[str, Any]]]:
        """The values of each map, and where it lies in its photo (`box`, `image_size`); a damaged one is left out."""
        for row, path in self:
            try:
                values, saved = load(path, ("box", "image_size"))
            except MapError as error:
                self.leave_out(row, str(error))
                continue
            yield row, values, {name: saved[name].tolist() for name in ("box", "image_size")}

    def leave_out(self, row: Row, reason: str) -> None:
        """Note that there is nothing of a row, and why."""
        self.left_out.append((title_of(row), reason))

    def took(self, row: Row) -> None:
        """Note that a row's map was written."""
        if row.get("status") == "constant":
            self.constant.append(title_of(row))

    def exported(self, path: Path, counts: Mapping[str, int], noun: str = "map") -> Exported:
        """What was written, with what was noted."""
        return Exported(path, counts, tuple(self.left_out), tuple(self.constant), noun)


def _is_photo(row: Row) -> bool:
    return str(row.get("map", "")).endswith(SOURCE)


def title_of(row: Row) -> str:
    """The image and method of a row, for messages."""
    return ", ".join(filter(None, (str(row.get("file", "")), str(row.get("method", "")))))


@contextmanager
def new_folder(path: Path, kind: str, *, overwrite: bool, own: Own | None = None) -> Iterator[Path]:
    """A folder beside the wanted one to write into, which takes its place at the end: it is whole or as before.

    Args:
        kind: of the export; overwrite: whether a folder that one of this kind made before is replaced; own: tells such
            a folder (default: by a file that is put into it).

    Raises:
        OptionError: there is something that is not to be replaced, or that no such export made. WriteError: it cannot
            be written.
    """
    check_new(path, kind, overwrite=overwrite, own=own)
    temporary = unfinished(path)
    old = temporary.with_suffix(".old.tmp")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if own is None:
            mark(temporary, kind)
        if path.exists():
            os.replace(path, old)
        os.replace(temporary, path)
    except OSError as error:
        if old.exists() and not path.exists():
            os.replace(old, path)
        raise unwritten(path, error) from error
    finally:
        for each in (temporary, old):
            shutil.rmtree(each, ignore_errors=True)


def mark(folder: Path, kind: str) -> None:
    """Say that an export made a folder; its pictures are nobody's images to explain."""
    (folder / MADE).write_text(kind, encoding="utf-8")


def _marked(folder: Path, kind: str) -> bool:
    marker = folder / MADE
    return marker.is_file() and marker.read_text(encoding="utf-8", errors="replace") == kind


def check_new(path: Path, kind: str, *, overwrite: bool, own: Own | None = None) -> None:
    """See that an export of a kind may make a folder there.

    Raises:
        OptionError: it may not.
    """
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not overwrite:
        raise OptionError(f"{shown(path)} exists; with overwrite (--overwrite) it is replaced")
    if not (_marked(path, kind) if own is None else own(path)):
        raise OptionError(
            f"{shown(path)} was not made by an export to {kind} and is not replaced; choose another place (--out)"
        )
