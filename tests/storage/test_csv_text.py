"""Tables that a spreadsheet reads as text, and paths that a terminal shows as text."""

from __future__ import annotations

import csv
import io

import pytest
from run_case import embedded, folder, rows

from explainers.data.images import find_images
from explainers.run import run
from explainers.run.true_classes import labels_of
from explainers.storage.csv_text import csv_text, escaped, unescaped
from explainers.storage.paths import shown


@pytest.mark.parametrize("text", ["=1+1", "+a", "-a.png", "@SUM(A1)", "\tx", "\rx", "'=x", "''-x", "-", "=", "+1 2"])
def test_what_a_spreadsheet_would_compute_is_text(text):
    assert escaped(text) == "'" + text
    assert unescaped(escaped(text)) == text


@pytest.mark.parametrize("cell", ["a.png", "", "'", "'tis", "a=b", "-0.5", "+1e-3", "-inf", "1", -0.5, 3, None, True])
def test_numbers_and_other_texts_stay(cell):
    assert escaped(cell) == cell
    if isinstance(cell, str):
        assert unescaped(cell) == cell


def test_cells_and_columns_come_back():
    written = [{"=a": "=1", "b": -0.5, "left out": 1}, {"b": 'x,\n"y"'}]
    found = list(csv.reader(io.StringIO(csv_text(["=a", "b"], written))))
    assert found == [["'=a", "b"], ["'=1", "-0.5"], ["", 'x,\n"y"']]


def test_the_table_of_a_run_names_classes_of_the_same_images(tmp_path):
    names = ("=cmd().png", "-a.png", "+sub/@b.png")
    images = folder(tmp_path / "in", names)
    run(images, embedded(), ["saliency"], tmp_path / "out")
    found = [row["file"] for row in rows(tmp_path / "out")]
    assert sorted(found) == sorted("'" + name for name in names)
    table = tmp_path / "classes.csv"
    table.write_text("file,class\n" + "".join(f"{name},{number}\n" for number, name in enumerate(found)))
    assert labels_of(str(table), find_images(images), None) == {
        name.removeprefix("'"): number for number, name in enumerate(found)
    }


def test_paths_do_not_steer_the_terminal():
    assert shown("a\x1b[2J\x07\r\n\u202eb\x9b.png") == r"a\x1b[2J\x07\r\n\u202eb\x9b.png"
    assert shown("ü ñ 日本.png") == "ü ñ 日本.png"
    assert shown("caf\udce9.png") == r"caf\udce9.png"
