"""Which files and folders below a folder are volumes or signals."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from pathlib import Path

from explainers.data.images.find import ImageFile
from explainers.data.recordings.dicom import is_series
from explainers.data.recordings.read import READERS, suffix_of
from explainers.errors import ImageError
from explainers.storage.owner import is_output, outputs_in
from explainers.storage.paths import shown


def find_recordings(folder: str | PathLike[str]) -> list[ImageFile]:
    """All volumes and signals below a folder, sorted by name; a folder with DICOM slices is one volume.

    Dot files are skipped, and what a run of this program has written there. A single file, or a folder of slices, gives
    itself.

    Raises:
        ImageError: there is no such folder, or nothing of that kind below it.
    """
    root = Path(folder)
    if root.is_file() or (root.is_dir() and is_series(root)):
        return [ImageFile(root, root.name)]
    if not root.is_dir():
        raise ImageError(f"no file or folder {shown(root)}")
    found = sorted(_walk(root, root, set()), key=lambda file: file.name)
    if not found:
        raise ImageError(f"there is no volume or signal below {shown(root)} ({', '.join(READERS)}, DICOM)")
    return found


def _walk(root: Path, folder: Path, seen: set[Path]) -> Iterator[ImageFile]:
    real = folder.resolve()
    if real in seen:
        return  # a link back to a folder that was searched already
    seen.add(real)
    outputs = outputs_in(folder)
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or is_output(path.name, outputs):
            continue
        name = path.relative_to(root).as_posix()
        if path.is_dir():
            if is_series(path):
                yield ImageFile(path, name)
            else:
                yield from _walk(root, path, seen)
        elif suffix_of(path) in READERS:
            yield ImageFile(path, name)
