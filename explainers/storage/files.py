"""Regular files alone; others are refused before they are opened, since a pipe would wait and a device never end."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from os import PathLike
from typing import BinaryIO

MOST_TEXT = 1 << 30  # bytes of a table or list; COCO's annotations of 118,000 photos have half of it
_PART = 1 << 20  # bytes read at once


def opened(path: str | PathLike[str]) -> BinaryIO:
    """A regular file, or a link to one, open for reading.

    Raises:
        OSError: it is a folder, a pipe, a device or a link to itself, or it cannot be read.
    """
    if "\0" in os.fsdecode(path):
        raise OSError(errno.EINVAL, "its name has a zero byte in it", os.fspath(path))
    _check(os.stat(path).st_mode, path)
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    file = os.fdopen(os.open(path, flags), "rb")
    try:
        _check(os.fstat(file.fileno()).st_mode, path)  # another file may have taken the name
    except OSError:
        file.close()
        raise
    return file


def read_bytes(path: str | PathLike[str], most: int) -> bytes:
    """The content of a regular file of `most` bytes at most.

    Raises:
        OSError: as `opened`, or the file is larger; nothing of it was read then.
    """
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise OSError(errno.EFBIG, f"it has {size:,} bytes, more than the limit of {most:,}")
        parts = []  # of a size that is theirs: one read of `most` bytes would reserve `most` for the smallest file
        while most > 0 and (part := file.read(min(most, _PART))):
            parts.append(part)
            most -= len(part)
        return b"".join(parts)


def text_of(path: str | PathLike[str], most: int = MOST_TEXT) -> str:
    """The text of a regular file in UTF-8, with its line ends as they are and without a byte order mark.

    Raises:
        OSError: as `read_bytes`. UnicodeDecodeError: it is something else.
    """
    return read_bytes(path, most).decode("utf-8-sig")


def content_hash(path: str | PathLike[str]) -> bytes:
    """SHA-256 of a regular file's content, read in small parts.

    Raises:
        OSError: as `opened`.
    """
    digest = hashlib.sha256()
    with opened(path) as file:
        while part := file.read(_PART):
            digest.update(part)
    return digest.digest()


def _check(mode: int, path: str | PathLike[str]) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", os.fspath(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is not a regular file", os.fspath(path))
