"""A folder through a detector: a row and a picture for each box, and nothing where nothing is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from detectors import GridDetector, read_grid, spotted_photos
from explainers.cli.main import main
from run_case import rows

from explainers import RISE
from explainers.core.preprocessing import Preprocessing
from explainers.data.images import read_image
from explainers.errors import OptionError
from explainers.models import LoadedModel
from explainers.run import MethodCall, RunOptions, run
from explainers.run.report.explained import explained
from explainers.run.report.folder import ReadFolder
from explainers.run.targets import Detected
from explainers.run.targets.detected import box_caption
from explainers.targets import Box, detections

SIZE = (48, 64)  # of the input; photos are twice as large


def loaded() -> LoadedModel:
    steps = Preprocessing(resize=SIZE)
    return LoadedModel(GridDetector().eval(), steps, ("cup", "fork", "plate"), "grid", None, torch.device("cpu"), "x")


def options(**more) -> RunOptions:
    return RunOptions(target=Detected(2, 0.1), output=read_grid, **more)


CALL = MethodCall("rise", {"masks": 16, "grid": 3})


def test_each_detection_has_a_row_a_map_and_a_picture(tmp_path):
    images, out, network = spotted_photos(tmp_path / "in"), tmp_path / "out", loaded()
    summary = run(images, network, [CALL, "saliency"], out, options=options(contact_sheet=4))
    assert (summary.images, summary.explained, summary.failed) == (3, 2, [])
    assert [name for name, _ in summary.nothing] == ["b.png"]
    made = rows(out)
    assert [row["status"] for row in made].count("nothing") == 1
    for name in ("a.png", "c.png"):
        photo = read_image(images / name).pixels
        batch = network.preprocessing(photo)[None]
        (found,) = detections(network, batch, min_score=0.1, output=read_grid)
        wanted = [Box.of(found, place) for place in range(min(2, len(found)))]
        maps = RISE(network, masks=16, grid=3, output=read_grid)(batch, [wanted])[0]
        mine = [row for row in made if row["file"] == name and row["method"] == "rise"]
        assert len(mine) == len(wanted) > 0
        for place, row in enumerate(mine):
            assert int(row["detection"]) == place + 1
            assert float(row["score"]) == pytest.approx(float(found.scores[place]), abs=1e-5)
            assert row["target_name"] == network.class_names[int(found.labels[place])]
            corners = [float(row[corner]) for corner in ("x0", "y0", "x1", "y1")]
            assert corners == pytest.approx((found.boxes[place] * 2).tolist(), abs=0.06)
            with np.load(out / row["map"]) as saved:
                torch.testing.assert_close(torch.from_numpy(saved["map"]), maps[place])
            assert (out / row["overlay"]).is_file()
        assert (out / "overlays" / f"{Path(name).stem}.detections.png").is_file()
    assert not (out / "overlays" / "b.detections.png").exists()


def test_a_second_run_finds_all_done_and_a_lost_picture_makes_one_image_again(tmp_path):
    images, out = spotted_photos(tmp_path / "in"), tmp_path / "out"
    run(images, loaded(), ["saliency"], out, options=options())
    before = (out / "results.csv").read_bytes()
    again = run(images, loaded(), ["saliency"], out, options=options())
    assert (again.explained, again.resumed, len(again.nothing)) == (0, 3, 0)
    (out / "overlays" / "a.detections.png").unlink()
    mended = run(images, loaded(), ["saliency"], out, options=options())
    assert (mended.explained, mended.resumed) == (1, 2)
    without = [line.split(",") for line in before.decode().splitlines()]
    now = [line.split(",") for line in (out / "results.csv").read_text().splitlines()]
    seconds = now[0].index("seconds")
    assert [row[:seconds] for row in now] == [row[:seconds] for row in without]


def test_nothing_anywhere_is_no_failure(tmp_path):
    images, out = spotted_photos(tmp_path / "in"), tmp_path / "out"
    summary = run(images, loaded(), ["saliency"], out, options=RunOptions(target=Detected(2, 1.0), output=read_grid))
    assert (summary.explained, len(summary.nothing), summary.failed) == (0, 3, [])
    assert {row["status"] for row in rows(out)} == {"nothing"}
    assert "the best has 0." in rows(out)[0]["reason"]


ADAPTER = """
import sys
sys.path.insert(0, {cases!r})
from detectors import GridDetector, read_grid


def make():
    return GridDetector()
"""


def test_the_command_explains_detections_by_an_adapter(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.path", list(__import__("sys").path))
    images, out, code = spotted_photos(tmp_path / "in"), tmp_path / "out", tmp_path / "grid.py"
    code.write_text(ADAPTER.format(cases=str(Path(__file__).parent.parent / "cases")))
    model = ["--model", f"{code}:make", "--size", "48x64", "--output", f"{code}:read_grid"]
    asked = ["--task", "detection", "--detections", "1", "--min-score", "0.1"]
    assert main(["run", str(images), *model, *asked, "-m", "saliency", "--out", str(out)]) == 0
    told = capsys.readouterr()
    assert "2 of 3 images explained" in told.out
    assert "nothing to explain in 1" in told.out
    assert "nothing to explain in b.png: no detection has a score of at least 0.1" in told.err
    assert [row["status"] for row in rows(out)] == ["ok", "nothing", "ok"]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["--detections", "2"], "--detections goes with --task detection"),
        (["--task", "detection", "--detections", "0"], "expected a number of at least 1"),
        (["--task", "detection", "--min-score", "1.5"], "expected a number of 0 … 1"),
        (["--task", "detection", "--top-k", "2"], "--top-k names classes"),
        (["--task", "detection", "--target", "3"], "--target names classes"),
    ],
)
def test_what_does_not_go_together_is_told_before_a_network_is_loaded(tmp_path, capsys, typed, said):
    images = spotted_photos(tmp_path / "in")
    assert main(["run", str(images), "--model", "missing.py:make", *typed, "--out", str(tmp_path / "out")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_number_of_detections_is_checked():
    with pytest.raises(OptionError, match="detections=0"):
        Detected(0)


def test_a_report_counts_nothing_found_as_no_failure(tmp_path):
    images, out = spotted_photos(tmp_path / "in"), tmp_path / "out"
    run(images, loaded(), ["saliency"], out, options=options())
    shown = explained(ReadFolder(out))
    entries = {entry.name: entry for entry in shown.entries}
    assert (entries["b.png"].problem, entries["b.png"].maps) == ("", [])
    assert "no detection has a score of at least 0.1" in entries["b.png"].notes
    assert [len(entries[name].maps) for name in ("a.png", "c.png")] == [1, 2]
    assert {"score", "x0", "detection"} & set(shown.scores) == {"score"}


@pytest.mark.parametrize(("name", "caption"), [("cat", "#2 cat 0.88"), ("3", "#2 class 3 0.88")])
def test_a_box_is_drawn_with_its_rank_class_and_score(name, caption):
    columns = {"detection": 2, "score": 0.875001}
    assert box_caption(name, columns) == caption
