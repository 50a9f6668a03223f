"""Reading regular files whole: what comes back, what is refused, and what a read reserves."""

from __future__ import annotations

import os
import tracemalloc

import numpy as np
import pytest
from explainers.cli.main import main

from explainers.data.box_table import read_boxes
from explainers.data.images import write_image
from explainers.data.label_table import read_column, read_labels
from explainers.errors import ExplainersError
from explainers.models.class_list import read_class_names
from explainers.storage.files import MOST_TEXT, read_bytes

READERS = {
    "class names": read_class_names,
    "labels": lambda path: read_labels(path, ("file", "class"), str, "any"),
    "a column": lambda path: read_column(path, "class"),
    "boxes": read_boxes,
}


@pytest.mark.parametrize(
    "arguments", [["run", "{in}", "-m", "cam", "--out", "{out}"], ["verify", "{out}"], ["report", "{out}"]]
)
def test_a_pipe_in_the_place_of_a_journal_is_one_error(tmp_path, capsys, arguments):
    """It was waited for without end."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out/manifest.json").write_text('{"command": "run"}')
    os.mkfifo(tmp_path / "out/journal.jsonl")
    write_image(tmp_path / "in/a.png", np.zeros((96, 96, 3), np.uint8))
    given = [each.format(**{"in": tmp_path / "in", "out": tmp_path / "out"}) for each in arguments]
    assert main([*given, "--model", "embedded", "-q"] if arguments[0] == "run" else given) == 2
    assert f"{tmp_path}/out/journal.jsonl: it is not a regular file" in capsys.readouterr().err


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_000_000])
def test_a_file_comes_back_whole_up_to_the_limit_itself(tmp_path, size):
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    (tmp_path / "a").write_bytes(content)
    assert read_bytes(tmp_path / "a", 1 << 40) == content
    assert read_bytes(tmp_path / "a", size) == content
    if size:
        with pytest.raises(OSError, match=f"it has {size:,} bytes, more than the limit of {size - 1:,}"):
            read_bytes(tmp_path / "a", size - 1)


def test_a_small_file_costs_its_own_size_whatever_the_limit_is(tmp_path):
    (tmp_path / "a").write_bytes(b"small")
    tracemalloc.start()
    try:
        read_bytes(tmp_path / "a", 1 << 32)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("suffix", [".csv", ".json"])
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_a_table_that_is_a_pipe_or_has_gigabytes_is_refused_at_once(tmp_path, reader, suffix):
    os.mkfifo(tmp_path / f"pipe{suffix}")
    with (tmp_path / f"large{suffix}").open("wb") as file:
        file.truncate(MOST_TEXT + 1)
    for name, why in (("pipe", "not a regular file"), ("large", "more than the limit of")):
        with pytest.raises(ExplainersError, match=why):
            reader(tmp_path / f"{name}{suffix}")
