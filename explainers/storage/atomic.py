"""Files that are whole or as before, also after the power has failed."""

from __future__ import annotations

import errno
import itertools
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from explainers.errors import WriteError
from explainers.storage.paths import shown

REMEDIES = {
    errno.ENOSPC: "make room on the disk",
    errno.EDQUOT: "make room in your quota",
    errno.EROFS: "choose a folder that can be written to",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.EEXIST: "a file stands where a folder has to be: move it, or choose another folder",
    errno.ENOTDIR: "a file stands where a folder has to be: move it, or choose another folder",
    errno.EISDIR: "a folder stands where a file has to be: move it, or choose another name",
    errno.ENAMETOOLONG: "choose a shorter name",
}
_numbers = itertools.count()
OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)  # what no other file would be spared


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A name beside a file to write to; afterwards it takes the file's place, so that the file is whole or as before.

    What was written is on the disk before the name is, and the name before this returns: what is noted afterwards in
    another file holds after a loss of power too.

    Raises:
        WriteError: it cannot be written.
    """
    temporary = unfinished(path)
    try:
        _make(path.parent)
        yield temporary
        synced(temporary)
        os.replace(temporary, path)
        synced(path.parent)
    except OSError as error:
        raise unwritten(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def unfinished(path: Path) -> Path:
    """A name beside a file that is written to, which no other thread or process writes to: of names that begin alike,
    what is cut to fit into a file system would be one."""
    return path.with_name(f".{path.name[:60]}.{os.getpid()}{next(_numbers):08d}.tmp")


def write_bytes(path: Path, data: bytes) -> None:
    """All or nothing.

    Raises:
        WriteError: it cannot be written.
    """
    with replaced(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, value: Any, *, default: Callable[[Any], Any] | None = None) -> None:
    """An indented file, all or nothing; default: what stands for a value that is none of JSON's."""
    write_bytes(path, (json.dumps(value, indent=2, default=default) + "\n").encode())


def synced(path: Path) -> None:
    """Has the disk take a file's content, or a folder's names; where a system cannot do that for folders, not."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except PermissionError:  # Windows opens no folders
        if path.is_dir():
            return
        raise
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EBADF, errno.ENOTSUP):  # file systems that know no such thing
            raise
    finally:
        os.close(handle)


def _make(folder: Path) -> None:
    """A folder with those above it, whose names are on the disk too."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in missing:
        synced(each.parent)


def is_of_the_disk(error: WriteError) -> bool:
    """Whether no other file could be written either: the disk is full, or takes nothing."""
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in OF_THE_DISK


def unwritten(path: Path, error: OSError) -> WriteError:
    """What to raise when a file or folder cannot be written."""
    remedy = REMEDIES.get(error.errno or 0)
    told = f"{error.strerror or error}{f' ({remedy})' if remedy else ''}"
    return WriteError(f"cannot write {shown(path)}: {told}; what was written before is whole")
