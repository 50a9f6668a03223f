"""Detections of a folder under metrics: a row for each box, true boxes, controls, and images without any."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from detectors import GridDetector, read_grid, spotted_photos
from explainers.cli.main import main

import explainers
from explainers.core.preprocessing import Preprocessing
from explainers.data.box_table import read_boxes
from explainers.data.images import read_image
from explainers.errors import DataError, MapError, OptionError, OutputError
from explainers.evaluation import OtherDetection
from explainers.models import LoadedModel
from explainers.run.report.evaluated import evaluated
from explainers.run.report.folder import ReadFolder
from explainers.run.targets import Detected
from explainers.targets import Box, Detections, box_masks, detections

SIZE = (48, 64)  # of the input; photos are twice as large
QUIET = {"figures": False, "output": read_grid, "boxes": "detected"}


def loaded(network: torch.nn.Module | None = None) -> LoadedModel:
    made = (network or GridDetector()).eval()
    return LoadedModel(
        made, Preprocessing(resize=SIZE), ("cup", "fork", "plate"), "grid", None, torch.device("cpu"), "x"
    )


def inputs(model: LoadedModel, file: Path) -> torch.Tensor:
    return model.preprocessing(read_image(file).pixels)[None]


def scored(root: Path, metrics=("pointing-game",), methods=("saliency",), *, count: int = 2, **more):
    settings = {**QUIET, **more}
    return explainers.evaluate(loaded(), root, list(methods), list(metrics), Detected(count, 0.1), **settings)


def rows_of(result, explainer: str, metric: str) -> dict:
    return {row["image"]: row for row in result.rows if (row["explainer"], row["metric"]) == (explainer, metric)}


def test_each_detection_is_scored_as_a_box_target_is(tmp_path):
    images, model = spotted_photos(tmp_path / "in"), loaded()
    result = scored(images, ["deletion", "pointing-game"])
    made = rows_of(result, "saliency", "deletion")
    for name in ("a.png", "c.png"):
        batch = inputs(model, images / name)
        (found,) = detections(model, batch, min_score=0.1, output=read_grid)
        for place in range(min(2, len(found))):
            box = Box.of(found, place)
            alone = explainers.evaluate(
                model.network, batch, {"saliency": explainers.Saliency(model.network, output=read_grid)},
                ["deletion", "pointing-game"], targets=[box], masks=box_masks([box.box], SIZE), output=read_grid,
            )  # fmt: skip
            row = made[f"{name}, detection {place + 1}"]
            (expected,) = [
                each for each in alone.rows if each["explainer"] == "saliency" and each["metric"] == "deletion"
            ]
            assert row["value"] == pytest.approx(expected["value"], abs=1e-4)
            assert row["f(x)"] == pytest.approx(expected["f(x)"], abs=1e-6)
            assert (row["file"], row["detection"], row["control"]) == (name, place + 1, False)
            assert row["detection_score"] == pytest.approx(float(found.scores[place]), abs=1e-6)
            assert row["class_name"] == model.class_names[int(found.labels[place])]
            corners = [row[key] for key in ("x0", "y0", "x1", "y1")]
            assert corners == pytest.approx((found.boxes[place] * 2).tolist(), abs=0.06)


def test_an_image_counts_once_with_the_mean_of_its_detections(tmp_path):
    result = scored(spotted_photos(tmp_path / "in"), ["deletion"])
    values = {name: row["value"] for name, row in rows_of(result, "saliency", "deletion").items()}
    by_image = [values["a.png, detection 1"], (values["c.png, detection 1"] + values["c.png, detection 2"]) / 2]
    cell = result.summary().cells["saliency", "deletion"]
    assert (cell.value, cell.images) == (pytest.approx(sum(by_image) / 2), 2)
    assert result.summary().images == 2
    assert any("3 detections" in line for line in result.summary().notes())


def test_nothing_to_explain_is_a_row_and_no_failure(tmp_path):
    result = scored(spotted_photos(tmp_path / "in"))
    nothing = [row for row in result.rows if row["image"] == "b.png"]
    assert {row["status"] for row in nothing} == {"nothing"}
    assert {row["explainer"] for row in nothing} == set(result.explainers)
    assert all("no detection has a score of at least 0.1; the best has 0.0" in row["reason"] for row in nothing)
    assert any("nothing to explain in 1 image" in line for line in result.summary().notes())
    assert result.summary().failed == {"saliency, another box": 1}  # a.png has one detection alone


def test_nothing_in_any_image_is_a_table_all_the_same(tmp_path):
    images = spotted_photos(tmp_path / "in")
    result = explainers.evaluate(
        loaded(), images, ["saliency"], ["pointing-game"], Detected(2, 1.0), out=tmp_path / "out", **QUIET
    )
    assert {row["status"] for row in result.rows} == {"nothing"}
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert sorted(manifest["nothing"]) == ["a.png", "b.png", "c.png"]


def test_another_box_is_marked_as_a_control_everywhere(tmp_path):
    images, out = spotted_photos(tmp_path / "in"), tmp_path / "out"
    result = scored(images, ["pointing-game", "insertion"], out=out)
    own, other = (rows_of(result, name, "pointing-game") for name in ("saliency", "saliency, another box"))
    assert own["c.png, detection 1"]["value"] == 1
    assert other["c.png, detection 1"]["value"] == 0
    for table in ("scores.csv", "summary.csv"):
        with (out / table).open(newline="") as file:
            marked = {row["explainer"]: row["control"] for row in csv.DictReader(file) if row["control"]}
        assert marked["saliency, another box"] == "True"
        assert marked["saliency"] == "False"
    assert "saliency, another box" in json.loads((out / "summary.json").read_text())["controls"]
    assert "controls: saliency, another box" in (out / "summary.md").read_text()
    shown = evaluated(ReadFolder(out))
    assert "saliency, another box" in shown.controls
    assert shown.methods == ["saliency"]
    entry = {each.name: each for each in shown.entries}["c.png, detection 2"]
    assert entry.source == (images / "c.png").resolve()
    assert any(each.startswith("b.png: no detection") for each in shown.cautions)
    assert not any(row["control"] is False for row in result.summary().rows() if "another box" in row["explainer"])


def test_detections_of_an_image_share_the_passes_of_its_map(tmp_path):
    class Counting(GridDetector):
        seen = 0

        def forward(self, images):
            Counting.seen += len(images)
            return super().forward(images)

    images, passes = spotted_photos(tmp_path / "in"), {}
    for count in (1, 2):
        rise = ("rise", {"masks": 64, "grid": 3})
        Counting.seen = 0
        explainers.evaluate(
            loaded(Counting()), [explainers_file(images / "c.png")], {"rise": rise}, ["pointing-game"],
            Detected(count, 0.1), **QUIET,
        )  # fmt: skip
        passes[count] = Counting.seen
    assert passes[1] > 2 * 64  # a set of masks for the method, and one for its control
    assert passes[2] - passes[1] < 16  # the second detection takes no set of its own, of either


def explainers_file(path: Path):
    from explainers.data.images import find_images

    (file,) = find_images(path)
    return file


def test_a_killed_evaluation_goes_on_to_the_same_table(tmp_path):
    images, out = spotted_photos(tmp_path / "in"), tmp_path / "out"
    whole = scored(images, out=tmp_path / "whole", batch_size=1)

    def stop(done: int, *_: object) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scored(images, out=out, batch_size=1, progress=stop)
    again = scored(images, out=out, batch_size=1)
    dropped = ("seconds", "map")
    plain = [
        [{key: value for key, value in row.items() if key not in dropped} for row in result.rows]
        for result in (whole, again)
    ]
    assert plain[0] == plain[1]
    with pytest.raises(OptionError, match=r"differs in targets \('Detected\(count=2.*now"):
        scored(images, out=out, batch_size=1, count=1)


def table(path: Path, *lines: str, header: str = "file,x0,y0,x1,y1,class") -> Path:
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_true_boxes_are_those_of_the_same_class_that_overlap(tmp_path):
    images, model = spotted_photos(tmp_path / "in"), loaded()
    (found,) = detections(model, inputs(model, images / "c.png"), min_score=0.1, output=read_grid)
    first, second = ([value * 2 for value in found.boxes[place].tolist()] for place in (0, 1))
    names = [model.class_names[int(label)] for label in found.labels[:2]]
    wrong = next(name for name in model.class_names if name != names[1])
    boxes = table(
        tmp_path / "boxes.csv",
        f"c.png,{','.join(map(str, first))},{names[0]}",
        f"c.png,{','.join(map(str, second))},{wrong}",  # where the second is, but of another class
    )
    result = scored(images, ["pointing-game", "deletion"], boxes=boxes)
    pointing, deletion = rows_of(result, "saliency", "pointing-game"), rows_of(result, "saliency", "deletion")
    assert pointing["c.png, detection 1"]["value"] == 1
    for name in ("c.png, detection 2", "a.png, detection 1"):  # a.png has no line
        assert (pointing[name]["value"], pointing[name]["status"]) == (None, "ok")
        assert pointing[name]["reason"] == "no true box is that of this detection"
        assert deletion[name]["value"] is not None
    x0, y0, x1, y1 = first
    upper = [x0, y0, x1, y0 + 0.6 * (y1 - y0)]
    moved = table(tmp_path / "upper.csv", f"c.png,{','.join(map(str, upper))},{names[0]}")
    energies = [
        rows_of(scored(images, ["energy-pointing-game"], boxes=each), "saliency", "energy-pointing-game")[
            "c.png, detection 1"
        ]["value"]
        for each in (boxes, moved)
    ]
    assert energies[0] > energies[1] > 0  # it is the true box that counts, not the detection's own


def test_where_no_detection_has_a_true_box_the_figures_and_the_table_say_that_there_is_no_value(tmp_path):
    images = spotted_photos(tmp_path / "in")
    beside = table(tmp_path / "beside.csv", "a.png,1000,1000,1100,1100,cup")
    metrics, out = ["pointing-game", "energy-pointing-game"], tmp_path / "out"
    result = scored(images, metrics, ("saliency", "grad-cam"), count=1, boxes=beside, figures=True, out=out)
    assert {row["value"] for row in result.rows} == {None}
    assert (out / "figure-values.png").is_file()
    assert all(cell == "–" for line in result.summary().lines()[1:] for cell in line[1:-1])
    assert result._repr_png_()  # as in a notebook


COCO = '{{"images": [{{"id": 1, "file_name": "a.png"}}], "annotations": [{{"image_id": 1, "bbox": [{}]}}]}}'


def test_boxes_of_coco_are_those_of_the_table(tmp_path):
    coco = {
        "images": [{"id": 7, "file_name": "a.png"}, {"id": 8, "file_name": "b.png"}],
        "categories": [{"id": 3, "name": "cup"}],
        "annotations": [
            {"image_id": 7, "bbox": [10, 20, 30, 40], "category_id": 3},
            {"image_id": 7, "bbox": [0, 0, 90, 90], "category_id": 3, "iscrowd": 1},  # no single cup
        ],
    }
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    read = read_boxes(tmp_path / "coco.json")
    (own,) = read["a.png"]
    assert (own.corners, own.classes, read["b.png"]) == ((10, 20, 40, 60), {"3", "cup"}, [])
    (same,) = read_boxes(table(tmp_path / "boxes.csv", "a.png,10,20,40,60,cup"))["a.png"]
    assert (same.corners, same.classes) == (own.corners, {"cup"})


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("b.csv", "file,x0,y0,x1\na.png,1,2,3\n", "has no column 'y1'"),
        ("b.csv", "file,x0,y0,x1,y1\na.png,1,2,x,4\n", "line 2: 1, 2, x, 4 is no box"),
        ("b.csv", "file,x0,y0,x1,y1\na.png,1,2,nan,4\n", "has no area or is not finite"),
        ("b.csv", "file,x0,y0,x1,y1\na.png,5,2,3,4\n", "has no area"),
        ("b.csv", "file,x0,y0,x1,y1\n", "has no boxes"),
        ("b.csv", "file,x0,y0,x1,y1\nz.png,1,2,3,4\n", "names none of the images"),
        ("b.json", "{}", "is not as COCO's annotations are"),
        ("b.json", "{", "cannot be read"),
        ("b.json", "[" * 100_000, "cannot be read"),
        ("b.json", COCO.format("1, 1, " + "9" * 400 + ", 1"), "is no box"),
        ("b.json", COCO.format("1, 1, " + "9" * 5000 + ", 1"), "cannot be read"),
        ("b.json", COCO.format('"1", "1", "2", "2"'), "expected four numbers"),  # "1" + "2" is "12"
        ("b.json", COCO.format("1, 1, 2, 2").replace('"a.png"', "null"), "image 1 has no file_name"),
        ("b.json", COCO.format("1, 1, 2, 2").replace("}]", '}, {"id": 1, "file_name": "b.png"}]', 1), "of one id"),
        ("b.csv", "file,x0,y0,x1,y1\na.png,1,5,1,2,2\n", "more cells than there are columns"),
        ("b.csv", "file,x0,y0,x1,y1,x0\na.png,1,1,2,2,9\n", "two columns 'x0'"),
        ("b.csv", "file,x0,y0,x1,y1\n,1,2,3,4\n", "line 2 names no photo"),
        ("b.csv", "file,x0,y0,x1,y1\na.png,1_0,2,30,4\n", "is no box"),
        (
            "b.csv",
            "file,x0,y0,x1,y1,class\na.png,1,2,3,4,owl\n",
            "such as cup, fork, plate or an index to 2; it has owl",
        ),
    ],
)
def test_a_table_that_is_none_is_one_error(tmp_path, name, content, said):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=said):
        scored(spotted_photos(tmp_path / "in"), boxes=tmp_path / name)


def test_what_detections_cannot_be_asked_with_is_said(tmp_path):
    images, asked = spotted_photos(tmp_path / "in"), Detected(1, 0.1)
    with pytest.raises(OptionError, match=r"a table of true boxes .* or 'detected'"):
        scored(images, boxes=None)
    with pytest.raises(OptionError, match="does not say which of its detections"):
        scored(images, masks=images)
    with pytest.raises(MapError, match=r"looked for a\.1 with"):
        scored(images, methods=[images])
    with pytest.raises(OptionError, match="goes with targets=Detected"):
        explainers.evaluate(loaded(), images, ["saliency"], ["pointing-game"], 0, **QUIET)
    with pytest.raises(OptionError, match="Detected is of image files"):
        explainers.evaluate(loaded(), torch.rand(1, 3, *SIZE), ["saliency"], ["deletion"], asked, output=read_grid)


def test_an_image_without_another_box_costs_that_row_alone():
    network, made = GridDetector().eval(), torch.rand(2, 3, *SIZE) * 0.2
    made[:, :, 8:16, 16:24] = 1
    made[1, :, 32:40, 40:48] = 0.9
    targets = [Box.of(found, 0) for found in detections(network, made, output=read_grid)]
    own = explainers.Saliency(network, output=read_grid)
    result = explainers.evaluate(
        network, made, {"saliency": own, "another box": OtherDetection(own, min_score=0.2)}, ["deletion"],
        targets=targets, output=read_grid,
    )  # fmt: skip
    status = {row["image"]: row["status"] for row in result.rows if row["explainer"] == "another box"}
    assert status == {"0": "failed", "1": "ok"}


def no_boxes(returned):
    return [Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64)) for _ in returned]


def outside(returned):
    return [
        Detections(each.boxes + 1000, each.scores, each.labels, each.probabilities, each.objectness)
        for each in read_grid(returned)
    ]


def not_finite(returned):
    return [
        Detections(each.boxes * torch.nan, each.scores, each.labels, each.probabilities, each.objectness)
        for each in read_grid(returned)
    ]


def raises(returned):
    raise RuntimeError("the adapter is broken")


def run_folder(images: Path, output) -> list[tuple[str, str]]:
    from explainers.run import RunOptions, run

    options = RunOptions(target=Detected(2, 0.1), output=output, overlays=False)
    return run(images, loaded(), ["saliency"], images.parent / "out", options=options).nothing


def evaluate_folder(images: Path, output) -> list[tuple[str, str]]:
    result = scored(images, output=output)
    return list(dict.fromkeys((row["image"], row["reason"]) for row in result.rows if row["status"] == "nothing"))


@pytest.mark.parametrize("command", [run_folder, evaluate_folder])
def test_detectors_that_find_nothing_to_see_are_no_failures(tmp_path, command):
    images = spotted_photos(tmp_path / "in")
    found = dict(command(images, no_boxes))
    assert set(found) == {"a.png", "b.png", "c.png"}
    assert all("the network returns no box" in reason for reason in found.values())
    beyond = dict(command(spotted_photos(tmp_path / "more" / "in"), outside))
    assert "lies in the image (1 outside of it" in beyond["a.png"]
    assert "the best has 0.0" in beyond["b.png"]


@pytest.mark.parametrize("command", [run_folder, evaluate_folder])
@pytest.mark.parametrize(
    ("output", "said"), [(not_finite, "boxes are NaN or infinite"), (raises, "the adapter is broken")]
)
def test_detectors_that_break_are_one_error(tmp_path, command, output, said):
    with pytest.raises(OutputError, match=f"fails on every image .*{said}"):
        command(spotted_photos(tmp_path / "in"), output)


def dark_ones_break(returned):
    if returned[:, 4].amax(dim=(1, 2)).min() < -3:
        raise RuntimeError("too dark")
    return read_grid(returned)


def test_an_image_that_breaks_the_adapter_costs_that_image(tmp_path):
    result = scored(spotted_photos(tmp_path / "in"), output=dark_ones_break)
    failed = {(row["image"], row["reason"]) for row in result.rows if row["image"] == "b.png"}
    assert failed == {("b.png", "RuntimeError: too dark")}
    assert rows_of(result, "saliency", "pointing-game")["a.png, detection 1"]["status"] == "ok"


CODE = """
import sys
sys.path.insert(0, {cases!r})
from detectors import GridDetector, read_grid


def make():
    return GridDetector()
"""


def test_the_command_evaluates_detections(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.path", list(__import__("sys").path))
    images, out, code = spotted_photos(tmp_path / "in"), tmp_path / "out", tmp_path / "grid.py"
    code.write_text(CODE.format(cases=str(Path(__file__).parent.parent / "cases")))
    asked = ["evaluate", str(images), "--model", f"{code}:make", "--size", "48x64", "--output", f"{code}:read_grid"]
    asked += ["--task", "detection", "--min-score", "0.1", "-m", "saliency", "--out", str(out), "--no-figures"]
    asked += ["--metric", "pointing-game", "--boxes", "detected"]
    assert main([*asked, "--detections", "2"]) == 0
    told = capsys.readouterr()
    assert "saliency, another box" in told.out
    assert "nothing to explain in b.png: no detection has a score of at least 0.1" in told.err
    assert "failed:" not in told.err
    assert main([*asked, "--detections", "1"]) == 2
    assert "'Detected(count=2, min_score=0.1)' there" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["--detections", "2"], "--detections goes with --task detection"),
        (["--task", "detection", "--detections", "0"], "expected a number of at least 1"),
        (["--task", "detection", "--target", "3"], "--target names classes"),
        (["--task", "detection", "--boxes", "missing.csv"], "no file missing.csv"),
    ],
)
def test_what_does_not_go_together_is_told_before_any_work(tmp_path, capsys, typed, said):
    images = spotted_photos(tmp_path / "in")
    assert main(["evaluate", str(images), "--model", "missing.py:make", *typed, "--out", str(tmp_path / "out")]) == 2
    assert said in capsys.readouterr().err
