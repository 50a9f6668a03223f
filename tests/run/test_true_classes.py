"""True classes of image files."""

from __future__ import annotations

import csv

import pytest
from explainers.cli.main import main
from run_case import embedded

import explainers
from explainers import create_metric
from explainers.data.images import find_images, read_image, write_image
from explainers.data.samples import sample_images
from explainers.errors import DataError, TargetError
from explainers.run.true_classes import labels_of

NAMES = ("zero", "one", "two")


def photos(root, names=("a.png", "one/b.png", "x/two/c.png", "one/d.png")):
    for number, name in enumerate(names):
        write_image(root / name, read_image(sample_images()[number].path).pixels)
    return find_images(root)


def table(path, *lines):
    path.write_text("\n".join(("file,class", *lines)) + "\n", encoding="utf-8")
    return str(path)


def test_a_table_names_classes_or_indices(tmp_path):
    files = photos(tmp_path / "in")
    named = table(
        tmp_path / "a.csv", "a.png,zero", "x/two/c.png,TWO,sure", "", "one/b.png,one", "one/d.png,1", "z,zero"
    )
    assert labels_of(named, files, NAMES) == {"a.png": 0, "one/b.png": 1, "one/d.png": 1, "x/two/c.png": 2}
    counted = table(tmp_path / "b.csv", "a.png,0", "x/two/c.png,2", "one/b.png,1", "one/d.png,7")
    assert labels_of(counted, files, None) == {"a.png": 0, "one/b.png": 1, "one/d.png": 7, "x/two/c.png": 2}


def test_an_index_that_the_network_does_not_have_is_refused(tmp_path):
    files = photos(tmp_path / "in", ("a.png",))
    assert labels_of(table(tmp_path / "a.csv", "a.png,2"), files, NAMES) == {"a.png": 2}
    with pytest.raises(TargetError, match="class 3: the network has classes 0 … 2, counted from 0"):
        labels_of(table(tmp_path / "a.csv", "a.png,3"), files, NAMES)


def test_a_class_that_is_called_like_a_number_is_meant_by_it(tmp_path):
    files = photos(tmp_path / "in", ("a.png",))
    assert labels_of(table(tmp_path / "a.csv", "a.png,0"), files, ("1", "0")) == {"a.png": 1}


def test_the_folder_of_an_image_is_its_class(tmp_path):
    files = photos(tmp_path, ("one/b.png", "x/two/c.png", "0/d.png"))
    assert labels_of("folders", files, NAMES) == {"0/d.png": 0, "one/b.png": 1, "x/two/c.png": 2}


@pytest.mark.parametrize(
    ("lines", "names", "error", "text"),
    [
        (
            ["a.png,zero"],
            NAMES,
            DataError,
            "one/b.png, one/d.png, x/two/c.png have no line in .*t.csv; every image needs",
        ),
        ([], NAMES, DataError, "t.csv names no images"),
        (["a.png,"], NAMES, DataError, "line 2, column class: expected a class, found ''"),
        (["a.png,zero", "a.png,one"], NAMES, DataError, "line 3, column file: expected a name that no other line has"),
        (["a.png,three", "one/b.png,1", "one/d.png,1", "x/two/c.png,1"], NAMES, TargetError, "no class 'three'"),
        (["a.png,zero", "one/b.png,1", "one/d.png,1", "x/two/c.png,1"], None, DataError, "give indices"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path, lines, names, error, text):
    with pytest.raises(error, match=text):
        labels_of(table(tmp_path / "t.csv", *lines), photos(tmp_path / "in"), names)


def test_what_is_no_table_is_refused(tmp_path):
    files = photos(tmp_path / "in")
    (tmp_path / "t.csv").write_text("name,label\na.png,zero\n")
    with pytest.raises(DataError, match="line 1: expected the columns file,class, found name,label"):
        labels_of(str(tmp_path / "t.csv"), files, NAMES)
    with pytest.raises(DataError, match="no file .*none.csv; expected a table with the columns file,class"):
        labels_of(str(tmp_path / "none.csv"), files, NAMES)
    with pytest.raises(DataError, match=r"^a\.png lies in no folder of a class; every image needs a class$"):
        labels_of("folders", files, NAMES)
    with pytest.raises(DataError, match=r"^a\.png, b\.png lie in no folder of a class; every image needs a class$"):
        labels_of("folders", photos(tmp_path / "two", ("a.png", "b.png")), NAMES)


def test_metrics_of_accuracy_go_by_the_labels_that_the_command_is_given(tmp_path, capsys):
    loaded = embedded()
    files = photos(tmp_path / "in", ("a.png", "b.png", "c.png"))
    given = table(tmp_path / "t.csv", "a.png,zero", "b.png,zero", "c.png,2")  # b.png is a one
    argv = ["evaluate", str(tmp_path / "in"), "--model", "embedded", "-m", "saliency", "--ground-truth", given, "-q"]
    argv += ["--metric", "threshold-deletion:thresholds=4", "--metric", "deletion:steps=2", "--target", "label"]
    assert main([*argv, "--no-figures", "--out", str(tmp_path / "out")]) == 0, capsys.readouterr().err
    with (tmp_path / "out" / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["explainer"] == "saliency"]
    expected = explainers.evaluate(
        loaded,
        files,
        ["saliency"],
        [create_metric("threshold-deletion", thresholds=4), create_metric("deletion", steps=2)],
        "label",
        labels={"a.png": 0, "b.png": 0, "c.png": 2},
    )
    for score in ("threshold-deletion", "deletion"):
        found = [float(row["value"]) for row in rows if row["score"] == score]
        assert found == pytest.approx([row["value"] for row in expected.rows if _is(row, score)], abs=1e-9)
    assert [row["target"] for row in rows if row["score"] == "deletion"] == ["0", "0", "2"]


def _is(row, score):
    return row["explainer"] == "saliency" and row.get("score") == score


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        (
            ["digits:2", "--ground-truth", "folders"],
            "--ground-truth folders: the classes of digits:2 are known; leave it out",
        ),
        (["IN", "--ground-truth", "folders"], "a.png lies in no folder of a class; every image needs a class"),
        (["IN", "--target", "label"], "--target label, but the images have no labels: pass --ground-truth"),
    ],
)
def test_labels_that_the_command_cannot_use_cost_one_line_and_no_folder(tmp_path, capsys, typed, text):
    photos(tmp_path / "in", ("a.png",))
    typed = [str(tmp_path / "in") if each == "IN" else each for each in typed]
    out = tmp_path / "out"
    assert main(["evaluate", *typed, "--model", "embedded", "-m", "saliency", "--out", str(out), "-q"]) == 2
    assert text in capsys.readouterr().err
    assert not out.exists() or [path.name for path in out.iterdir()] == ["journal.jsonl"]
