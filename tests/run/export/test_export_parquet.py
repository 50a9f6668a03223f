"""The table of a run or evaluation as Parquet, read back by pyarrow: the CSV file's cells, and the journal's types."""

from __future__ import annotations

import json
import shutil
import sys

import pytest
from explainers.cli.main import main

from explainers.errors import DataError, DependencyError, OptionError
from explainers.run.export import parquet as module
from explainers.run.export.parquet import write_parquet
from explainers.run.report.folder import ReadFolder

parquet = pytest.importorskip("pyarrow.parquet")
TABLES = {"run": ("results.csv", "file"), "evaluate": ("scores.csv", "image")}


@pytest.mark.parametrize("command", TABLES)
@pytest.mark.parametrize("batch", [1, 2, 4096])
def test_every_cell_comes_back(folders, hostile, tmp_path, monkeypatch, command, batch):
    monkeypatch.setattr(module, "BATCH", batch)
    name, key = TABLES[command]
    read = ReadFolder(folders / command)
    made = write_parquet(folders / command, tmp_path / "t.parquet")
    table = parquet.read_table(made.path)
    rows, cells = table.to_pylist(), read.table(name)
    assert table.column_names == read.columns(name)
    assert made.counts["row"] == len(rows) == len(cells) > 0
    for row, cell in zip(rows, cells, strict=True):
        for column, text in cell.items():
            value = row[column]
            assert (value is None) == (text == "")
            assert value is None or value == type(value)(text)
    assert {row[key] for row in rows} >= set(hostile)
    assert str(table.schema.field(key).type) == "string"
    assert str(table.schema.field("predicted").type) == "int64"
    assert str(table.schema.field("seconds").type) == "double"
    assert table.schema.metadata[b"schema_version"].decode() == str(module.SCHEMA_VERSION)
    assert made.failed == sum(row["status"] != "ok" for row in rows)
    assert len(made.named) == min(made.failed, module.NAMED)


def test_failed_rows_are_counted_and_named(folders, tmp_path, capsys):
    out = tmp_path / "t.parquet"
    assert main(["export", str(folders / "run"), "--to", "parquet", "--out", str(out)]) == 0
    assert "broken.png" in capsys.readouterr().err
    assert main(["export", str(folders / "run"), "--to", "parquet", "-o", str(out), "--overwrite", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["failed"] >= 1
    assert told["rows"] == parquet.read_table(out).num_rows


def test_what_is_there_stays(folders, tmp_path):
    path = tmp_path / "t.parquet"
    path.write_bytes(b"mine")
    with pytest.raises(OptionError, match="overwrite"):
        write_parquet(folders / "run", path)
    assert path.read_bytes() == b"mine"
    with pytest.raises(OptionError, match=r"\.parquet"):
        write_parquet(folders / "run", folders / "run" / "results.csv", overwrite=True)


def test_an_export_that_fails_leaves_no_half_file(folders, tmp_path, monkeypatch):
    path = tmp_path / "t.parquet"
    path.write_bytes(b"before")
    monkeypatch.setattr(module, "BATCH", 1)
    monkeypatch.setattr(module, "_without_result", lambda rows: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_parquet(folders / "run", path, overwrite=True)
    assert [each.name for each in tmp_path.iterdir()] == ["t.parquet"]
    assert path.read_bytes() == b"before"


def test_what_cannot_be_exported_is_told(folders, tmp_path, monkeypatch):
    changed = shutil.copytree(folders / "run", tmp_path / "changed")
    table = changed / "results.csv"
    kept = table.read_text(encoding="utf-8")
    table.write_text(kept.replace("007.png,", "007.png,many", 1), encoding="utf-8")
    with pytest.raises(DataError, match="'predicted'"):
        write_parquet(changed)
    table.unlink()
    with pytest.raises(DataError, match=r"results\.csv"):
        write_parquet(changed)
    (changed / "manifest.json").unlink()
    with pytest.raises(DataError, match="not come to its end"):
        write_parquet(changed)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DependencyError, match=r"explainers\[parquet\]"):
        write_parquet(folders / "run", tmp_path / "t.parquet")


def test_types_of_columns():
    assert module._common({int, float}) is float
    assert module._common({int, str}) is str
    assert module._common({list}) is module._common(set()) is str
    assert module._value("True", bool, "x") is True
    assert module._value("\udce9", str, "x") == "\\udce9"
