"""MATLAB's files, read with SciPy, which is imported when the first one is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from explainers.errors import DataError, DependencyError
from explainers.storage.paths import not_there, shown


def need_scipy(what: str) -> Any:
    """The module scipy.io.

    Raises:
        DependencyError: it cannot be imported, with the command that installs it.
    """
    try:
        import scipy.io
    except ImportError as error:
        raise DependencyError(f"{what} are MATLAB files, which need SciPy: pip install 'explainers[matlab]'") from error
    return scipy.io


def read_matlab(path: Path, needed: tuple[str, ...]) -> dict[str, Any]:
    """The variables of a MATLAB file, a struct as an object with its fields.

    Raises:
        DataError: it is not there, no MATLAB file, or lacks a variable. DependencyError: SciPy cannot be imported.
    """
    io = need_scipy(shown(path))
    try:
        found: dict[str, Any] = io.loadmat(str(path), squeeze_me=True, struct_as_record=False)
    except FileNotFoundError as error:
        raise DataError(not_there(path, "file")) from error
    except Exception as error:  # a damaged file makes the reader raise anything
        raise DataError(f"{shown(path)} cannot be read as a MATLAB file: {error}") from error
    missing = [name for name in needed if name not in found]
    if missing:
        raise DataError(f"{shown(path)} has no variable {', '.join(missing)}")
    return found
