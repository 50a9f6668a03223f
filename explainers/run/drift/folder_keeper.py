"""What a comparison keeps in its folder: rows in the journal, and maps of the reference as files."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from explainers.evaluation.drifting.finished_units import Row
from explainers.storage.atomic import write_bytes
from explainers.storage.run_folder import RunFolder

MAPS = "reference"  # the folder of the reference's maps


class FolderKeeper:
    """A `Keeper` that survives a kill.

    Args:
        folder: held, with its facts known; done: the units of an earlier start, as `RunFolder.begin` has them.
    """

    def __init__(self, folder: RunFolder, done: set[str]) -> None:
        self.folder = folder
        self._rows: dict[str, list[Row]] = {entry["id"]: entry["rows"] for entry in folder.journal.entries(done)}
        self.used: dict[str, None] = {}

    def rows(self, key: str) -> list[Row] | None:
        """See `Keeper`."""
        rows = self._rows.get(key)
        if rows is not None:
            self.used[key] = None
        return rows

    def note(self, key: str, rows: Sequence[Row]) -> None:
        """See `Keeper`."""
        self.folder.note(key, list(rows))
        self._rows[key] = list(rows)
        self.used[key] = None

    def maps(self, key: str) -> np.ndarray | None:
        """See `Keeper`; mapped into memory, not read."""
        if self.rows(key) is None:
            return None
        mapped: np.ndarray = np.load(self.folder.path / MAPS / f"{key}.npy", mmap_mode="r")
        return mapped

    def keep_maps(self, key: str, maps: np.ndarray, rows: Sequence[Row]) -> None:
        """See `Keeper`."""
        name = f"{MAPS}/{key}.npy"
        buffer = io.BytesIO()
        np.save(buffer, maps)
        write_bytes(self.folder.path / name, buffer.getvalue())
        self.folder.note(key, list(rows), [name])
        self._rows[key] = list(rows)
        self.used[key] = None

    def check(self) -> None:
        """See that everything that was used is there.

        Raises:
            WriteError: somebody has removed something meanwhile.
        """
        self.folder.check(list(self.used))


def whole(rows: list[Row]) -> bool:
    """Whether a unit still counts as done: what has failed is tried again."""
    return not any("failed" in row.get("status", ()) or row.get("failed") for row in rows)
