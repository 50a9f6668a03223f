"""Overlays and scores as TensorBoard's events, read back by its accumulator."""

from __future__ import annotations

import csv
import sys

import numpy as np
import pytest
from explainers.cli.main import main

from explainers.errors import DataError, DependencyError
from explainers.run.export.tensorboard import write_tensorboard
from explainers.run.report.folder import ReadFolder

accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
tensor_util = pytest.importorskip("tensorboard.util.tensor_util")


def read(folder):
    """What TensorBoard reads of a method: {tag: {step: value}}, of an image its width, height and bytes; the text of a
    tag, and its description."""
    found = accumulator.EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    values, told = {}, {}
    for tag in found.Tags()["tensors"]:
        told[tag] = found.SummaryMetadata(tag).summary_description
        for event in found.Tensors(tag):
            value = tensor_util.make_ndarray(event.tensor_proto)
            values.setdefault(tag, {})[event.step] = value.item() if value.ndim == 0 else list(value)
    return values, told


def test_overlays_come_back_byte_by_byte_under_the_names_of_the_photos(ran, hostile, tmp_path, capsys):
    assert main(["export", str(ran), "--to", "tensorboard", "--out", str(tmp_path / "log")]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("8 overlays\n2 methods\n")
    assert "1 overlay left out" in printed.err
    assert "broken.png" in printed.err
    rows = [row for _, unit in ReadFolder(ran).units() for row in unit if row.get("overlay")]
    for method in ("grad-cam", "saliency"):
        values, told = read(tmp_path / "log" / method)
        assert set(values) == set(hostile)
        for row in rows:
            if row["method"] == method:
                assert values[row["file"]] == {0: [b"28", b"40", (ran / row["overlay"]).read_bytes()]}
                assert f"target_name {row['target_name']}" in told[row["file"]]


def test_several_targets_of_a_photo_are_several_images(ran, tmp_path, monkeypatch):
    row = next(row for _, unit in ReadFolder(ran).units() for row in unit if row.get("overlay"))
    rows = [{**row, "method": "a/b", "target_name": name} for name in ("cat", "dog", "dog")] + [
        {**row, "method": "a_b"}
    ]
    monkeypatch.setattr(ReadFolder, "units", lambda self: iter([("x", rows)]))
    write_tensorboard(ran, tmp_path / "log")
    name = row["file"]
    assert set(read(tmp_path / "log" / "a_b")[0]) == {name, f"{name}, dog", f"{name}, dog'"}
    assert set(read(tmp_path / "log" / "a_b_")[0]) == {name}


def test_scores_come_back_at_the_steps_of_their_images(folders, hostile, tmp_path):
    made = write_tensorboard(folders / "evaluate", tmp_path / "log")
    table = ReadFolder(folders / "evaluate").table("scores.csv")
    names = list(dict.fromkeys(row["image"] for row in table))
    values, told = read(tmp_path / "log" / "saliency")
    mine = [row for row in table if row["explainer"] == "saliency" and row["value"]]
    assert len(mine) == len(hostile)
    expected = {names.index(row["image"]): np.float32(row["value"]) for row in mine}
    assert values["image/sparseness"] == expected
    assert values["mean/sparseness"] == {0: pytest.approx(np.mean(list(expected.values())), rel=1e-6)}
    assert told["mean/sparseness"].startswith("higher is better; 95 % of 0.")
    ((text,),) = read(tmp_path / "log")[0]["images/text_summary"].values()
    assert text.decode().splitlines()[2:] == [f"| {step} | {name} |" for step, name in enumerate(names)]
    with (folders / "evaluate" / "summary.csv").open(encoding="utf-8") as file:
        assert made.counts["method"] == len({row["explainer"] for row in csv.DictReader(file)})
    assert all(name == "broken.png" or "broken.png, " in name for name, _ in made.left_out)


def test_without_overlays_or_tensorboard_one_line_says_so(ran, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(ReadFolder, "units", lambda self: iter([]))
        with pytest.raises(DataError, match="--no-overlays"):
            write_tensorboard(ran, tmp_path / "log")
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(DependencyError, match=r"explainers\[tensorboard\]"):
        write_tensorboard(ran, tmp_path / "log")
    assert not list(tmp_path.iterdir())
