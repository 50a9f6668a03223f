"""What a run has done, kept so that it can be killed at any moment and go on."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from explainers.errors import OptionError
from explainers.storage.atomic import write_bytes

COLUMNS = (
    "file",
    "predicted",
    "predicted_name",
    "probability",
    "target",
    "target_name",
    "target_probability",
    "method",
    "layer",
    "seconds",
    "masks",
    "passes_per_second",
    "standard_error",
    "status",
    "reason",
    "overlay",
    "map",
)
Row = dict[str, Any]


class Journal:
    """An append-only file of finished images, one line of JSON each with all rows of the image.

    A line is written when every file of the image is in place, so what it names exists. A torn last line is dropped.

    Args:
        what: in what another run would differ, for its refusal; whole: whether an entry's rows still count as done (by
            default: they are good, and the files they name exist).
    """

    def __init__(
        self, out: Path, what: str = "model, methods or options", *, whole: Callable[[list[Row]], bool] | None = None
    ) -> None:
        self.path, self.what = out / "journal.jsonl", what
        self.whole = whole or self._whole

    def open(self, fingerprint: str) -> set[str]:
        """The images that an earlier run with this fingerprint has explained; starts the file where there is none.

        Raises:
            OptionError: the folder holds a run that differs.
        """
        if not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(self.path, (json.dumps({"fingerprint": fingerprint}) + "\n").encode())
            return set()
        entries = _lines(self.path)
        if next(entries, {}).get("fingerprint") != fingerprint:
            if not any("id" in entry for entry in entries):  # a start that did nothing
                write_bytes(self.path, (json.dumps({"fingerprint": fingerprint}) + "\n").encode())
                return set()
            raise OptionError(
                f"{self.path.parent} holds a run with another {self.what}; "
                "choose another output folder, or start anew with overwrite (--overwrite)"
            )
        # The folder may have moved and files may have been deleted since: done is what is noted and there.
        done = {entry["id"] for entry in entries if self.whole(entry["rows"])}
        self._cut_torn_line()
        return done

    def append(self, key: str, rows: list[Row]) -> None:
        """Note an image as done."""
        line = json.dumps({"id": key, "rows": rows}, ensure_ascii=True) + "\n"
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def entries(self) -> Iterator[tuple[str, list[Row]]]:
        """Each image's key and rows, the last entry where there are several (a failed image that was tried again)."""
        last = {entry["id"]: number for number, entry in enumerate(_lines(self.path)) if "id" in entry}
        for number, entry in enumerate(_lines(self.path)):
            if "id" in entry and last[entry["id"]] == number:
                yield entry["id"], entry["rows"]

    def images(self) -> Iterator[list[Row]]:
        """The rows of each image."""
        for _, rows in self.entries():
            yield rows

    def rows(self) -> Iterator[Row]:
        """All rows, one after the other."""
        for rows in self.images():
            yield from rows

    def _whole(self, rows: list[Row]) -> bool:
        files = [row[kind] for row in rows for kind in ("overlay", "map") if row.get(kind)]
        return all(row["status"] == "ok" for row in rows) and all((self.path.parent / name).exists() for name in files)

    def _cut_torn_line(self) -> None:
        data = self.path.read_bytes()
        if data and not data.endswith(b"\n"):
            write_bytes(self.path, data[: data.rfind(b"\n") + 1])


def _lines(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue  # torn by a kill; the image is done again


def write_table(path: Path, rows: Iterable[Row]) -> None:
    """results.csv: one row per image, method and target."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(row)
    write_bytes(path, buffer.getvalue().encode("utf-8", "backslashreplace"))
