"""A folder that one process writes to."""

from __future__ import annotations

import errno
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from explainers.errors import OptionError
from explainers.storage.atomic import unwritten
from explainers.storage.paths import shown

LOCK = ".explainers.lock"
WAIT = 0.2  # seconds, in which a process that is leaving the folder is gone
LOCKLESS = (errno.ENOLCK, errno.EOPNOTSUPP)  # what some network file systems answer


_held: dict[Path, int] = {}  # folders, and the thread that holds each


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps others from writing to a folder until this thread is done or dead.

    The folder is made if need be, and removed again where nothing was written. A thread may hold what it holds already.

    Raises:
        OptionError: another process is writing there. WriteError: it cannot be made.
    """
    if "\0" in str(folder):
        raise unwritten(folder, OSError(errno.EINVAL, "its name has a zero byte in it"))
    place, thread = folder.resolve(), threading.get_ident()
    if _held.get(place) == thread:
        yield
        return
    try:
        created = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        lock.acquire(timeout=WAIT, poll_interval=WAIT / 10)
        own = (folder / LOCK).stat()
    except Timeout as error:
        raise OptionError(
            f"another process is writing to {shown(folder)}; wait until it is done, or choose another folder"
        ) from error
    except OSError as error:
        if error.errno not in LOCKLESS:
            raise unwritten(folder, error) from error
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
        with suppress(OSError):  # while it is held; whoever waits for it makes another
            if os.path.samestat((folder / LOCK).stat(), own):  # no other process's, in a folder that was made again
                (folder / LOCK).unlink()
        lock.release()
        if created:
            with suppress(OSError):  # there is something in it
                folder.rmdir()
