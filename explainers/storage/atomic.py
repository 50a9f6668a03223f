"""Files that are whole or as before."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from explainers.errors import WriteError
from explainers.storage.paths import shown


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
        raise unwritten(path, error) from error
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


def unwritten(path: Path, error: OSError) -> WriteError:
    """What to raise when a file or folder cannot be written."""
    return WriteError(f"cannot write {shown(path)}: {error.strerror or error}; what was written before is whole")
