"""Where a report goes: a folder whose page is put in place last, or one file up to a size."""

from __future__ import annotations

import base64
import json
import re
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from explainers.errors import OptionError
from explainers.storage.atomic import write_bytes
from explainers.storage.owner import MADE
from explainers.storage.paths import shown

PAGE = "index.html"
FILES = "files-"  # folders beside the page, one a version, of which it names one
MIME = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
GENERATOR = b'name="generator" content="explainers '  # in each page, by which it is told from others
LARGEST = 25_000_000  # bytes of a single file: more is slow to open and refused by mail servers


class Sink(Protocol):
    """Takes what belongs to a report, piece by piece, and the page last."""

    single: bool

    def picture(self, name: str, data: bytes) -> str:
        """Keep a picture; returns what the page calls it by."""

    def chunk(self, number: int, values: dict[str, Any]) -> None:
        """Keep the maps of some images."""

    def chunks(self) -> list[tuple[str, str]]:
        """What the page has to hold of them: (name, JSON)."""

    @property
    def root(self) -> str:
        """What stands before the names of files on the page."""

    def close(self, html: str) -> Path:
        """Put the page in place; returns it."""


class FolderSink:
    """A folder. The page before this one stays whole with its files until the new one is in its place.

    Args:
        folder: of the report; it is made if need be.

    Raises:
        OptionError: there is a page of somebody else's.
    """

    single = False

    def __init__(self, folder: Path) -> None:
        refuse_others(folder / PAGE)
        self.folder = folder
        self.files = folder / f"{FILES}{secrets.token_hex(4)}"
        write_quickly(self.files / MADE, b"")  # its photos are nobody's images to explain

    def picture(self, name: str, data: bytes) -> str:
        """A file."""
        write_quickly(self.files / name, data)
        return f"{self.files.name}/{name}"

    def chunk(self, number: int, values: dict[str, Any]) -> None:
        """A script, since browsers load no data from a file but by scripts and pictures."""
        text = f"explainersReport.take({number}, {in_script(values)});\n"
        write_quickly(self.files / f"maps-{number:04d}.js", text.encode("ascii"))

    def chunks(self) -> list[tuple[str, str]]:
        """Nothing: the page loads them when they are needed."""
        return []

    @property
    def root(self) -> str:
        """The folder of its files."""
        return f"{self.files.name}/"

    def close(self, html: str) -> Path:
        """The page; then the files of the one before it go."""
        write_bytes(self.folder / PAGE, html.encode("utf-8"))
        for path in self.folder.glob(f"{FILES}*"):
            if path != self.files and re.fullmatch(rf"{FILES}[0-9a-f]{{8}}", path.name):
                shutil.rmtree(path, ignore_errors=True)
        return self.folder / PAGE

    def discard(self) -> None:
        """Remove what was written of a report that does not come to its end, unless its page is in place already."""
        with suppress(OSError):
            if self.files.name.encode() in (self.folder / PAGE).read_bytes():
                return
        shutil.rmtree(self.files, ignore_errors=True)
        with suppress(OSError):  # other files are in it
            self.folder.rmdir()


class SingleFileSink:
    """One HTML file with everything in it.

    Args:
        path: of the file; largest: bytes that it may have.

    Raises:
        OptionError: there is a file that is no report, or a folder.
    """

    single = True

    def __init__(self, path: Path, largest: int = LARGEST) -> None:
        refuse_others(path)
        self.path, self.largest = path, largest
        self.size = 0
        self.kept: list[tuple[str, str]] = []

    def picture(self, name: str, data: bytes) -> str:
        """A data URI."""
        text = f"data:{MIME[Path(name).suffix]};base64,{base64.b64encode(data).decode('ascii')}"
        self._grow(len(text))
        return text

    def chunk(self, number: int, values: dict[str, Any]) -> None:
        """A script of data in the page."""
        text = in_script(values)
        self._grow(sum(len(made) for image in values.values() for made in image.get("maps", []) if made))
        self.kept.append((f"maps-{number:04d}", text))

    def chunks(self) -> list[tuple[str, str]]:
        """All of them."""
        return self.kept

    @property
    def root(self) -> str:
        """Nothing: there are no files."""
        return ""

    def close(self, html: str) -> Path:
        """The file.

        Raises:
            OptionError: it would be too large.
        """
        data = html.encode("utf-8")
        self.size = 0
        self._grow(len(data))
        write_bytes(self.path, data)
        return self.path

    def discard(self) -> None:
        """There is nothing to remove."""

    def _grow(self, more: int) -> None:
        self.size += more
        if self.size > self.largest:
            raise OptionError(
                f"{shown(self.path)} would have more than {self.largest / 1e6:.0f} MB, which browsers open slowly and "
                "mail servers refuse. Make the report a folder (without --single-file), make its photographs smaller "
                "(--side), or explain fewer images or methods into a folder of their own"
            )


def refuse_others(path: Path) -> None:
    """See that a page replaces a report, or nothing.

    Raises:
        OptionError: there is something else.
    """
    if path.is_dir():
        raise OptionError(f"{shown(path)} is a folder; a report in one file (--single-file) needs the name of a file")
    try:
        with path.open("rb") as file:
            ours = GENERATOR in file.read(4096)
    except OSError:
        return
    if not ours:
        raise OptionError(f"{shown(path)} is there already and is no report; choose another place for it (--out)")


def write_quickly(path: Path, data: bytes) -> None:
    """A file of which nobody knows before the page is there: it need not be whole before that."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def in_script(values: Any) -> str:
    """JSON in ASCII that ends no script and begins no comment of HTML, whatever it holds."""
    return json.dumps(values, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c").replace(">", "\\u003e")
