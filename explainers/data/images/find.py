"""Which files below a folder are images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path, PurePosixPath

from explainers.errors import ImageError
from explainers.storage.owner import MADE, is_output, outputs_in
from explainers.storage.paths import shown

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


def find_images(folder: str | PathLike[str]) -> list[ImageFile]:
    """All image files below a folder, by suffix, sorted by name; a single file gives itself.

    Dot files are skipped, links are followed once, and what only looks like an image stays in the list, so that it can
    be reported. A folder with an image's suffix is listed and searched. What a run of this program has written below
    the folder (overlays, sheets, figures, test images that it made) is not among them, unless it is named itself.

    Raises:
        ImageError: there is no such folder, it cannot be read, or there is no image below it.
    """
    root = Path(folder)
    if root.is_file():
        return [ImageFile(root, root.name)]
    if not root.exists():
        raise ImageError(f"no file or folder {shown(root)}")
    if not root.is_dir():
        raise ImageError(f"{shown(root)} is neither a folder nor a regular file")
    found = sorted(_walk(root, root, set()), key=lambda image: image.name)
    if not found:
        raise ImageError(f"no images below {shown(root)} (looked for {', '.join(sorted(SUFFIXES))})")
    return found


def _walk(folder: Path, root: Path, seen: set[str]) -> Iterator[ImageFile]:
    real = os.path.realpath(folder)
    if real in seen:
        return  # a link back to a folder that was searched already
    seen.add(real)
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        if folder == root:
            raise ImageError(f"cannot read the folder {shown(folder)}: {error.strerror}") from error
        yield ImageFile(folder, folder.relative_to(root).as_posix())
        return
    outputs = outputs_in(folder)
    if folder != root and any(entry.name == MADE for entry in entries):
        return
    for entry in entries:
        if entry.name.startswith(".") or is_output(entry.name, outputs):
            continue
        path = folder / entry.name
        if path.suffix.lower() in SUFFIXES:
            yield ImageFile(path, path.relative_to(root).as_posix())
        if path.is_dir():  # as DirEntry.is_dir, which raises where a link leads to itself
            yield from _walk(path, root, seen)
