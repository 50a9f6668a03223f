"""What a comparison keeps while it goes on: rows of units that are done, and the maps of the reference."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

Row = dict[str, Any]
IN_MEMORY = 256 << 20  # bytes of reference maps up to which they are no files


class Keeper(Protocol):
    """Keeps units by their keys."""

    def rows(self, key: str) -> list[Row] | None:
        """What is known of a unit, None where it is not done."""

    def note(self, key: str, rows: Sequence[Row]) -> None:
        """A unit is done."""

    def maps(self, key: str) -> np.ndarray | None:
        """(n, H, W) float32 of the reference, read from where they lie; None where they are not kept."""

    def keep_maps(self, key: str, maps: np.ndarray, rows: Sequence[Row]) -> None:
        """Keep maps of the reference and what is known of them."""


class Memory:
    """Keeps units as long as it lives; maps beyond `most` bytes lie in a temporary folder, mapped into memory."""

    def __init__(self, most: int = IN_MEMORY) -> None:
        self.most, self.bytes = most, 0
        self._rows: dict[str, list[Row]] = {}
        self._maps: dict[str, np.ndarray] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def rows(self, key: str) -> list[Row] | None:
        """See `Keeper`."""
        return self._rows.get(key)

    def note(self, key: str, rows: Sequence[Row]) -> None:
        """See `Keeper`."""
        self._rows[key] = list(rows)

    def maps(self, key: str) -> np.ndarray | None:
        """See `Keeper`."""
        return self._maps.get(key)

    def keep_maps(self, key: str, maps: np.ndarray, rows: Sequence[Row]) -> None:
        """See `Keeper`."""
        self.bytes += maps.nbytes
        if self.bytes > self.most:
            self._folder = self._folder or tempfile.TemporaryDirectory(prefix="explainers-drift-")
            path = Path(self._folder.name) / f"{key}.npy"
            np.save(path, maps)
            maps = np.load(path, mmap_mode="r")
        self._maps[key] = maps
        self.note(key, rows)


def digest(*parts: Any) -> str:
    """The key of a unit, from everything that decides its values."""
    text = "\0".join(map(str, parts))
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:32]
