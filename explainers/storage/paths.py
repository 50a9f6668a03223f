"""How messages print the name of a file."""

from __future__ import annotations

import os
from os import PathLike


def shown(path: str | PathLike[str]) -> str:
    """A path as messages print it: bytes that are no UTF-8, and what steers a terminal, as escapes."""
    plain = os.fspath(path).encode("utf-8", "backslashreplace").decode()
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in plain)
