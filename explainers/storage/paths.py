"""How messages print the name of a file."""

from __future__ import annotations

import os
from os import PathLike


def shown(path: str | PathLike[str]) -> str:
    """A path as messages print it: bytes that are no UTF-8 as escapes."""
    return os.fspath(path).encode("utf-8", "backslashreplace").decode()
