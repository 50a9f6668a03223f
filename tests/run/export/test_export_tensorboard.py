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


def read(folder):
    found = accumulator.EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0, "tensors": 0})
    return found.Reload()


def test_overlays_come_back_byte_by_byte_under_the_names_of_the_photos(ran, hostile, tmp_path, capsys):
    assert main(["export", str(ran), "--to", "tensorboard", "--out", str(tmp_path / "log")]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("8 overlays\n2 methods\n")
    assert "1 overlay left out" in printed.err
    assert "broken.png" in printed.err
    rows = [row for _, unit in ReadFolder(ran).units() for row in unit if row.get("overlay")]
    for method in ("grad-cam", "saliency"):
        log = read(tmp_path / "log" / method)
        assert set(log.Tags()["images"]) == set(hostile)
        for row in rows:
            if row["method"] == method:
                (image,) = log.Images(row["file"])
                assert image.encoded_image_string == (ran / row["overlay"]).read_bytes()
                assert (image.height, image.width) == (40, 28)


def test_several_targets_of_a_photo_are_several_images(ran, tmp_path, monkeypatch):
    row = next(row for _, unit in ReadFolder(ran).units() for row in unit if row.get("overlay"))
    rows = [{**row, "method": "a/b", "target_name": name} for name in ("cat", "dog", "dog")] + [
        {**row, "method": "a_b"}
    ]
    monkeypatch.setattr(ReadFolder, "units", lambda self: iter([("x", rows)]))
    write_tensorboard(ran, tmp_path / "log")
    assert set(read(tmp_path / "log" / "a_b").Tags()["images"]) == {
        row["file"], f"{row['file']}, dog", f"{row['file']}, dog'",
    }  # fmt: skip
    assert read(tmp_path / "log" / "a_b_").Tags()["images"] == [row["file"]]


def test_scores_come_back_at_the_steps_of_their_images(folders, hostile, tmp_path):
    made = write_tensorboard(folders / "evaluate", tmp_path / "log")
    table = ReadFolder(folders / "evaluate").table("scores.csv")
    names = list(dict.fromkeys(row["image"] for row in table))
    log = read(tmp_path / "log" / "saliency")
    mine = [row for row in table if row["explainer"] == "saliency" and row["value"]]
    assert len(mine) == len(hostile)
    found = {event.step: event.value for event in log.Scalars("image/sparseness")}
    assert found == {names.index(row["image"]): np.float32(row["value"]) for row in mine}
    (mean,) = log.Scalars("mean/sparseness")
    assert mean.value == pytest.approx(np.mean([float(row["value"]) for row in mine]), rel=1e-6)
    (text,) = read(tmp_path / "log").Tensors("images/text_summary")
    lines = text.tensor_proto.string_val[0].decode().splitlines()[2:]
    assert lines == [f"| {step} | {name} |" for step, name in enumerate(names)]
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
