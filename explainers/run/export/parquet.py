"""results.csv of a run, or scores.csv of an evaluation, as Parquet: numbers are numbers, and names are as they were."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

from explainers import __version__
from explainers.errors import DataError, OptionError, counted
from explainers.run.export.exported import Exported, Named, finished, library, plain
from explainers.run.report.folder import ReadFolder
from explainers.storage.atomic import replaced
from explainers.storage.paths import shown
from explainers.storage.run_folder import SCHEMA_VERSION

TABLES = {"run": "results.csv", "evaluate": "scores.csv"}
SUFFIX = ".parquet"
BATCH = 4096  # rows in memory at once, and in one row group
NAMED = 10  # rows without a result that are told by name
INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True)
class Table(Exported):
    """What was written. failed: how many rows have no result; named: the first of those, each with the reason."""

    failed: int = 0
    named: Named = ()

    def remarks(self) -> Iterator[tuple[str, Named, int]]:
        """Of the rows without a result."""
        if self.failed:
            headline = f"{counted(self.failed, 'row')} without a result, kept with status and reason:"
            yield headline, self.named, self.failed

    def facts(self) -> dict[str, Any]:
        """The same as plain values."""
        return {"out": str(self.path), "rows": self.counts["row"], "failed": self.failed, "named": self.named}


def write_parquet(
    folder: str | PathLike[str], out: str | PathLike[str] | None = None, *, overwrite: bool = False
) -> Table:
    """Write the table of a finished `explain run` or `explain evaluate` as Parquet, a batch of rows at a time.

    A row of the table is a row of the file, in the same order; rows without a result keep their status and reason. A
    column is of integers, floats or booleans where the journal has such values alone, else of text; an empty cell is
    null. Texts are as they were before the CSV put an apostrophe before those that begin like a formula.

    Args:
        folder: of the run or evaluation; out: the file, which ends in .parquet (default `results.parquet` or
            `scores.parquet` in the folder); overwrite: whether a file that is there is replaced.

    Raises:
        DataError: the folder holds neither, it has not come to its end, or its table was changed. DependencyError:
            pyarrow is missing. OptionError: the file is there, or has another ending. WriteError: it cannot be written.
    """
    read = finished(folder, TABLES, "Parquet")
    name = TABLES[read.command]
    path = (read.path / name).with_suffix(SUFFIX) if out is None else Path(out)
    if path.suffix != SUFFIX:
        raise OptionError(f"{shown(path)} does not end in {SUFFIX}; give the file a name that does")
    if path.exists() and not overwrite:
        raise OptionError(f"{shown(path)} exists; with overwrite (--overwrite) it is replaced")
    arrow, parquet = (library(each, "parquet", "Parquet") for each in ("pyarrow", "pyarrow.parquet"))
    columns = read.columns(name)
    if not columns:
        raise DataError(f"{shown(read.path / name)} is missing or empty; run explain {read.command} again to make it")
    kinds = _kinds(read, columns)
    types = {int: arrow.int64(), float: arrow.float64(), bool: arrow.bool_(), str: arrow.string()}
    facts = {"schema_version": str(SCHEMA_VERSION), "command": f"explain {read.command}", "explainers": __version__}
    schema = arrow.schema([(column, types[kinds[column]]) for column in columns], metadata=facts)
    count, failed, named = 0, 0, []  # type: int, int, list[tuple[str, str]]
    rows = read.rows(name)
    with replaced(path) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
        while batch := list(islice(rows, BATCH)):
            typed = [{key: _value(row.get(key, ""), kind, key) for key, kind in kinds.items()} for row in batch]
            writer.write_table(arrow.Table.from_pylist(typed, schema=schema))
            count += len(batch)
            for title, reason in _without_result(batch):
                failed += 1
                if len(named) < NAMED:
                    named.append((title, reason))
    return Table(path, {"row": count}, failed=failed, named=tuple(named))


def _kinds(read: ReadFolder, columns: list[str]) -> dict[str, type]:
    """The type of each column: that of all its values in the journal, float for integers and floats, else text."""
    found: dict[str, set[type]] = {column: set() for column in columns}
    for _, rows in read.units():
        for row in rows:
            for column in columns:
                value = row.get(column)
                if value is not None and value != "":
                    large = type(value) is int and value not in INT64
                    found[column].add(str if large else type(value))
    return {column: _common(types) for column, types in found.items()}


def _common(types: set[type]) -> type:
    if types == {int, float}:
        return float
    only = next(iter(types)) if len(types) == 1 else str
    return only if only in (int, float, bool) else str


def _value(cell: str, kind: type, column: str) -> Any:
    """A cell of the CSV file as its column's type; null where it is empty."""
    if cell == "":
        return None
    if kind is str:
        return plain(cell)
    try:
        return {"True": True, "False": False}[cell] if kind is bool else kind(cell)
    except (ValueError, KeyError) as error:
        raise DataError(
            f"column {column!r} has {cell[:40]!r}, which is no {kind.__name__} as in the journal: the table was "
            "changed after it was made; run the command again to make it anew"
        ) from error


def _without_result(rows: list[dict[str, str]]) -> Iterator[tuple[str, str]]:
    for row in rows:
        if row.get("status", "ok") != "ok":
            image, method = row.get("file") or row.get("image", ""), row.get("method") or row.get("explainer", "")
            yield ", ".join(filter(None, (image, method))), row.get("reason") or row["status"]
