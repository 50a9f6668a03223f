"""Which files below a folder are images."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path, PurePosixPath

from explainers.errors import ImageError
from explainers.storage.owner import MADE, is_output, outputs_in
from explainers.storage.paths import not_there, shown

LONGEST = 150  # bytes of a name of which outputs are called
SUFFIXES = frozenset(
    (
        ".jpg",
        ".jpeg",
        ".png",
        ".webp",
        ".bmp",
        ".tif",
        ".tiff",
        ".gif",
        ".jp2",
        ".ppm",
        ".pgm",
        ".avif",
        ".heic",
        ".heif",
    )
)


@dataclass(frozen=True)
class ImageFile:
    """A file to explain. name: its path relative to the folder searched, with forward slashes."""

    path: Path
    name: str


def stem_of(name: str) -> str:
    """A file's name without its suffix; `.nii.gz` is one."""
    return name[: -len(".nii.gz")] if name.lower().endswith(".nii.gz") else str(PurePosixPath(name).with_suffix(""))


def shortened(base: str) -> str:
    """What outputs of an image are called where its name is so long that a method and a class find no room behind it:
    file systems end names at 255 bytes."""
    folder, slash, last = base.rpartition("/")
    encoded = last.encode("utf-8", "surrogateescape")
    if len(encoded) <= LONGEST:
        return base
    return f"{folder}{slash}{encoded[:LONGEST].decode('utf-8', 'ignore')}~{_hash(base)}"


def told_apart(base: str) -> str:
    """The same where another image's outputs are called so already."""
    return f"{base}~{_hash(base)}"


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def find_images(folder: str | PathLike[str]) -> list[ImageFile]:
    """All image files below a folder, by suffix, sorted by name; a single file gives itself.

    Dot files are skipped, links are followed once, and what only looks like an image stays in the list, so that it can
    be reported. A folder with an image's suffix is listed and searched. What a run of this program has written below
    the folder (overlays, sheets, figures, test images that it made) is not among them, unless it is named itself.

    Raises:
        ImageError: there is no such folder, it cannot be read, or there is no image below it.
    """
    root = found_path(folder)
    if root.is_file():
        return [ImageFile(root, root.name)]
    found = sorted(_walk(root, root, set()), key=lambda image: image.name)
    if not found:
        raise ImageError(f"no images below {shown(root)} (looked for {', '.join(sorted(SUFFIXES))})")
    return found


def found_path(folder: str | PathLike[str]) -> Path:
    """What is searched: a folder, or a single file.

    Raises:
        ImageError: it is neither.
    """
    root = Path(folder)
    if not root.exists():
        raise ImageError(not_there(root))
    if not (root.is_file() or root.is_dir()):
        raise ImageError(f"{shown(root)} is neither a folder nor a regular file")
    return root


def entries_in(folder: Path, seen: set[str]) -> list[Path]:
    """What lies right in a folder, sorted; nothing of one that was searched already, or below the first that a command
    made. Dot files and what a command has written beside others are left out.

    Args:
        seen: the folders that were searched, links resolved; grows.

    Raises:
        ImageError: it cannot be read.
    """
    real = os.path.realpath(folder)
    if real in seen:
        return []  # a link back
    first = not seen
    seen.add(real)
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise ImageError(f"cannot read the folder {shown(folder)}: {error.strerror}") from error
    if MADE in names and not first:
        return []
    outputs = outputs_in(folder)
    return [folder / name for name in names if not name.startswith(".") and not is_output(name, outputs)]


def _walk(folder: Path, root: Path, seen: set[str]) -> Iterator[ImageFile]:
    try:
        entries = entries_in(folder, seen)
    except ImageError:
        if folder == root:
            raise
        yield ImageFile(folder, folder.relative_to(root).as_posix())  # so that it is reported
        return
    for path in entries:
        if path.suffix.lower() in SUFFIXES:
            yield ImageFile(path, path.relative_to(root).as_posix())
        if path.is_dir():
            yield from _walk(path, root, seen)
