"""Which files and folders below a folder are volumes, signals or clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from os import PathLike
from pathlib import Path

from explainers.data.images.arrays import array_shape
from explainers.data.images.find import SUFFIXES, ImageFile, entries_in, found_path
from explainers.data.recordings.dicom import is_dicom, is_series
from explainers.data.recordings.frames import frames_in
from explainers.data.recordings.read import suffix_of
from explainers.errors import ImageError, MapError
from explainers.storage.paths import shown

ARRAYS = (".npy", ".npz")
FILES = {"volume": (".nii", ".nii.gz", *ARRAYS), "signal": (".wav", *ARRAYS), "clip": ()}
FOLDERS: dict[str, Callable[[Path], bool]] = {"volume": is_series, "clip": lambda folder: bool(frames_in(folder))}
WHAT = {
    "volume": "volumes (looked for .nii, .nii.gz, .npy, .npz and folders of DICOM slices)",
    "signal": "signals (looked for .wav, .npy and .npz)",
    "clip": "clips (looked for folders with numbered images)",
}


def find_recordings(folder: str | PathLike[str], kind: str) -> list[ImageFile]:
    """All volumes, signals or clips below a folder, sorted by name.

    A folder with DICOM slices right in it is one volume, one with images right in it one clip; what lies beside or
    below them counts as well. Dot files are skipped, and what a run of this program has written there. A single file,
    or a folder that is one, gives itself.

    Args:
        kind: "volume", "signal" or "clip".

    Raises:
        ImageError: there is no such folder, it cannot be read, or nothing of that kind is below it.
    """
    root = found_path(folder)
    if root.is_file():
        return [ImageFile(root, root.name)]
    found = sorted(_walk(root, root, kind, set()), key=lambda file: file.name)
    if not found:
        raise ImageError(f"no {WHAT[kind]} below {shown(root)}")
    return found


def kinds_in(folder: str | PathLike[str]) -> set[str]:
    """What lies below a folder, or what a file is: any of "photo", "volume" and "signal".

    Arrays of NumPy count where there is nothing else, by the axes that the first one has: one or two are a signal,
    three or four a volume. Frames are photos, unless somebody says otherwise.
    """
    root, found = Path(folder), set[str]()
    arrays: list[Path] = []
    alone = root.is_file()
    for path in [root] if alone else _everything(root, set()):
        suffix = suffix_of(path)
        if suffix in (".nii", ".nii.gz") or path.is_dir() or (alone and is_dicom(path)):
            found.add("volume")
        elif suffix == ".wav":
            found.add("signal")
        elif suffix in SUFFIXES:
            found.add("photo")
        elif suffix in ARRAYS:
            arrays.append(path)
    if not found and arrays:
        for path in arrays:
            try:
                found.add("signal" if len(array_shape(path)) < 3 else "volume")
                break
            except MapError:  # it will be told where it is read
                continue
    return found


def _everything(folder: Path, seen: set[str]) -> Iterator[Path]:
    """Files below a folder, and the folders that are series, itself among them."""
    try:
        entries = entries_in(folder, seen)
    except ImageError:  # it will be told where the files are listed
        return
    if is_series(folder):
        yield folder
    for path in entries:
        if path.is_dir():
            yield from _everything(path, seen)
        else:
            yield path


def _walk(folder: Path, root: Path, kind: str, seen: set[str]) -> Iterator[ImageFile]:
    name = root.name if folder == root else folder.relative_to(root).as_posix()
    try:
        entries = entries_in(folder, seen)
    except ImageError:
        if folder == root:
            raise
        yield ImageFile(folder, name)  # so that it is reported
        return
    if kind in FOLDERS and FOLDERS[kind](folder):
        yield ImageFile(folder, name or str(folder.resolve().name))
    for path in entries:
        if path.is_dir():
            yield from _walk(path, root, kind, seen)
        elif suffix_of(path) in FILES[kind]:
            yield ImageFile(path, path.relative_to(root).as_posix())
