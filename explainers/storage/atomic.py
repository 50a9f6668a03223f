"""Files that are whole or as before, and folders that one process writes to."""

from __future__ import annotations

import errno
import json
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from explainers.errors import OptionError, WriteError

LOCK = ".explainers.lock"
LOCKLESS = (errno.ENOLCK, errno.EOPNOTSUPP)  # what some network file systems answer


def shown(path: str | PathLike[str]) -> str:
    """A path as messages print it: bytes that are no UTF-8 as escapes."""
    return os.fspath(path).encode("utf-8", "backslashreplace").decode()


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A name beside a file to write to; afterwards it takes the file's place, so that the file is whole or as before.

    Raises:
        WriteError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name[:80]}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise _unwritten(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


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


_held: dict[Path, int] = {}  # folders, and the thread that holds each


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps others from writing to a folder until this thread is done or dead.

    The folder is made if need be, and removed again where nothing was written. A thread may hold what it holds already.

    Raises:
        OptionError: another process is writing there. WriteError: it cannot be made.
    """
    place, thread = folder.resolve(), threading.get_ident()
    if _held.get(place) == thread:
        yield
        return
    created = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise OptionError(
            f"another process is writing to {shown(folder)}; wait until it is done, or choose another folder"
        ) from error
    except OSError as error:
        if error.errno not in LOCKLESS:
            raise _unwritten(folder, error) from error
        warnings.warn(
            f"the file system of {shown(folder)} has no locks: see to it that no other process writes there",
            stacklevel=3,
        )
        yield
        return
    _held[place] = thread
    try:
        yield
    finally:
        del _held[place]
        with suppress(OSError):  # while it is held: nobody waits for it, whoever comes is refused
            (folder / LOCK).unlink()
        lock.release()
        if created:
            with suppress(OSError):  # there is something in it
                folder.rmdir()


def _unwritten(path: Path, error: OSError) -> WriteError:
    return WriteError(f"cannot write {shown(path)}: {error.strerror or error}; what was written before is whole")
