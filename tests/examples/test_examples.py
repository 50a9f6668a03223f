"""The examples run as they are."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from child import ran
from training_case import class_folders

from explainers.data.sets import data_set

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"


def test_the_notebook_runs_and_shows_pictures():
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(EXAMPLES / "tour.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=300).execute()
    kinds = [set(output.get("data", {})) for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in kind for kind in kinds) == 6
    shown = json.dumps([cell.get("outputs", []) for cell in notebook.cells])
    assert "torch.Size([1, 2, 2, 96, 96])" in shown
    assert ">deletion" in shown


def test_the_folder_example_runs(tmp_path):
    script = [EXAMPLES / "explain_folder.py"]
    done = ran(*script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "24 images explained, 0 failed" in done.stdout
    assert len(list((tmp_path / "explained/overlays").glob("*.png"))) == 48


def test_a_small_study_runs_and_goes_on(tmp_path):
    script = [EXAMPLES / "labn_study.py", "--out", str(tmp_path), "--seeds", "1", "--size", "32"]
    small = ["--train", "16", "--val", "4", "--epochs", "1", "--images", "2", "--baseline", "black"]
    first = ran(*script, *small)
    assert first.returncode == 0, first.stderr
    table = (tmp_path / "table.md").read_text()
    assert "| LABN + SGT + bias image | " in table
    assert table.count("| *the slides, DeFN, 512 px* |") == 6
    for name in ("values.csv", "curves-insertion.png", "curves-deletion.png", "maps.png"):
        assert (tmp_path / name).stat().st_size > 1000
    again = ran(*script, *small)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "table.md").read_text() == table


def test_the_bias_image_of_the_study_is_the_mean_of_its_training_images(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from labn_study import removed

    data = data_set("magnetogram:size=32,train=6,val=2,test=2")
    images = [data.preprocessing(data.train.pixels(row)).numpy() for row in range(len(data.train))]
    bias = removed(data, "bias").baseline.numpy()
    np.testing.assert_allclose(bias, np.mean(images, axis=0, dtype=np.float64), atol=1e-6)
    assert bias.std() > 0
    assert removed(data, "black").baseline == "black"


def test_a_small_study_of_ala_runs_and_goes_on(tmp_path):
    script = [EXAMPLES / "ala_study.py", "--out", str(tmp_path / "out"), "--docs", str(tmp_path)]
    small = ["--encoder", "tiny-vit", "--size", "32", "--seeds", "1", "--images", "6", "--scored", "2", "--worst", "4"]
    small += [
        "--train",
        "16",
        "--val",
        "8",
        "--epochs",
        "2",
        "--pretraining",
        "64",
        "--pretraining-epochs",
        "1",
        "--decoder",
        "8",
    ]
    small += ["--validation", "4", "--masks", "10", "--queries", "4", "--tolerance", "0.05"]
    first = ran(*script, *small)
    assert first.returncode == 0, first.stderr
    document, measured = tmp_path / "ala-study.md", sorted((tmp_path / "ala-study").glob("*.json"))
    text = document.read_text()
    assert len(measured) == 7
    assert "| ALA without SBN | " in text
    assert text.count("| *the paper, CUB-200-2011* |") == 5
    assert (tmp_path / "ala-study-maps.webp").stat().st_size > 1000
    found = json.loads(measured[0].read_text())
    assert all(len(values) <= 6 for values in found["values"].values())
    document.write_text("Words of ours.\n" + text)
    (tmp_path / "ala-study" / "rise-0.json").unlink()  # as if it had been stopped before
    again = ran(*script, *small)
    assert again.returncode == 0, again.stderr
    assert document.read_text() == "Words of ours.\n" + text
    other = ran(*script, *small, "--lr", "0.1")
    assert other.returncode != 0
    assert "was measured with another lr; give the same, another --docs, or remove it" in other.stderr


def test_a_small_overtraining_study_runs_and_goes_on(tmp_path):
    script = [EXAMPLES / "overtraining_study.py", "--out", str(tmp_path)]
    script += ["--data", "magnetogram:size=32,train=16,val=8,test=8", "--train", "16", "--val", "8", "--test", "8"]
    script += ["--epochs", "2", "--checkpoints", "2", "--seeds", "1", "--masks", "4", "--sanity", "2", "--lr", "0.02"]
    script += ["--batch-size", "16", "--device", "cpu", "--no-figures"]
    first = ran(*script)
    assert first.returncode == 0, first.stderr
    study, values = (tmp_path / "study.md").read_text(), {path: path.read_bytes() for path in tmp_path.glob("*.json")}
    assert len(values) == 3
    for variant in ("plain, with augmentation", "plain, without augmentation", "abn, with augmentation"):
        assert f"| {variant} | 0." in study
    for method in ("saliency", "deconvolution", "guided-backprop-minus", "guided-grad-cam", "smooth-grad", "rise"):
        redrawn = method != "rise"  # a third table has what redrawn weights do, of methods of gradients
        assert study.count(f"| plain, with augmentation | {method} | ") == 2 + redrawn
    assert study.count("| abn, with augmentation | attention | ") == 3
    journals = {path: path.read_bytes() for path in tmp_path.glob("*/*/journal.jsonl")}
    again = ran(*script)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "study.md").read_text() == study
    assert {path: path.read_bytes() for path in tmp_path.glob("*.json")} == values
    assert {path: path.read_bytes() for path in tmp_path.glob("*/*/journal.jsonl")} == journals


def test_the_overtraining_study_takes_images_as_small_as_they_are_and_epochs_evenly_by_their_logarithms(
    tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    spec = importlib.util.spec_from_file_location("overtraining_study", EXAMPLES / "overtraining_study.py")
    assert spec is not None
    study = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = study  # where its dataclasses look for their types
    spec.loader.exec_module(study)
    root = class_folders(tmp_path / "data")
    data = study.images(argparse.Namespace(data=f"folder:{root}", size=32, train=6, val=4, test=2))
    assert data.preprocessing(data.train.pixels(0)).shape == (3, 32, 32)
    assert [len(part) for part in (data.train, data.val, data.test)] == [6, 4, 2]
    assert set(data.train.labels) == {0, 1}
    assert study.kept_epochs(1000, 4) == (1, 10, 100, 1000)
    assert study.kept_epochs(5, 24) == (1, 2, 3, 4, 5)


def test_the_figure_of_the_networks_is_drawn(tmp_path):
    script = [EXAMPLES / "draw_networks.py", "--out", str(tmp_path / "networks.png")]
    done = ran(*script)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "networks.png").read_bytes()[:4] == b"\x89PNG"


def test_birds_are_drawn_with_their_masks(tmp_path):
    done = ran(EXAMPLES / "draw_birds.py", "--out", tmp_path / "birds.png", "--birds", "3", "8")
    assert done.returncode == 0, done.stderr
    assert [line.partition(": ")[0] for line in done.stdout.splitlines()] == ["3", "8"]
    assert (tmp_path / "birds.png").read_bytes()[:4] == b"\x89PNG"


def test_a_small_training_runs_and_writes_its_files(tmp_path):
    pytest.importorskip("sklearn")
    for place in ("models", "data"):
        (tmp_path / place).mkdir()
    script = [EXAMPLES / "train_embedded.py", "--images", "64", "--epochs", "1", "--test", "50"]
    done = ran(*script, "--out", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "test accuracy" in done.stdout
    assert (tmp_path / "models/embedded.safetensors").stat().st_size > 500_000
    assert len(list((tmp_path / "data/samples").glob("*.png"))) == 24


def numbers(value):
    """Every number in what JSON holds, in its order."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from numbers(each)
    elif isinstance(value, int | float):
        yield value


def test_the_study_of_attention_mining_runs_and_goes_on(tmp_path):
    """Each row and seed leaves a file; what is there is not trained again, and words around the table stay."""
    results = tmp_path / "results"
    script = [EXAMPLES / "amb_study.py", "--out", str(tmp_path), "--size", "32"]
    small = ["--classes", "6", "--train", "24", "--val", "6", "--test", "6", "--epochs", "1", "--images", "2"]
    rows = ["--rows", "abn", "human", "pc-cot", "gain"]
    first = ran(*script, *small, *rows, "--seeds", "0")
    assert first.returncode == 0, first.stderr
    files = {path.name: path.read_bytes() for path in results.iterdir()}
    assert sorted(files) == ["abn-0.json", "gain-0.json", "human-0.json", "pc-cot-0.json"]
    held = json.loads(files["human-0.json"])
    assert held["edited"] > 0
    assert len(held["maps"]) == 6
    assert len(held["values"]["threshold-insertion"]) == 2
    page = tmp_path / "amb-study.md"
    assert page.read_text().count("| *the paper, CUB-200-2010* |") == 3
    assert (tmp_path / "amb-study-maps.webp").stat().st_size > 1000
    page.write_text("Words before.\n" + page.read_text() + "Words behind.\n")
    (results / "abn-0.json").unlink()  # an interruption behind the training: it is scored again, not trained
    again = ran(*script, *small, *rows, "--seeds", "0")
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[:-1] == [f"abn       seed 0: {results / 'abn-0.json'}"]
    made = {path.name: path.read_bytes() for path in results.iterdir()}
    first, second = ([*numbers(json.loads(each.pop("abn-0.json")))] for each in (files, made))
    assert made == files
    # Passes are batched by how long they take, and sums of float32 by how they are batched: the last decimal may differ.
    assert len(first) > 100
    np.testing.assert_allclose(second, first, rtol=0, atol=1.001e-3)
    assert page.read_text().startswith("Words before.")
    assert page.read_text().endswith("Words behind.\n")
    other = ran(*script, *small, "--rows", "abn", "--seeds", "0", "--images", "3")
    assert other.returncode == 1
    assert "choose other --results" in other.stderr
