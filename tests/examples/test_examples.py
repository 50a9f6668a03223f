"""The examples run as they are."""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from training_case import class_folders

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"


def test_the_notebook_runs_and_shows_pictures():
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(EXAMPLES / "tour.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=300).execute()
    kinds = [set(output.get("data", {})) for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in kind for kind in kinds) == 5
    shown = json.dumps([cell.get("outputs", []) for cell in notebook.cells])
    assert "torch.Size([1, 2, 2, 96, 96])" in shown
    assert "<th>deletion" in shown


def test_the_folder_example_runs(tmp_path):
    script = [sys.executable, str(EXAMPLES / "explain_folder.py")]
    done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "24 images explained, 0 failed" in done.stdout
    assert len(list((tmp_path / "explained/overlays").glob("*.png"))) == 48


def test_a_small_study_runs_and_goes_on(tmp_path):
    script = [sys.executable, str(EXAMPLES / "labn_study.py"), "--out", str(tmp_path), "--seeds", "1", "--size", "32"]
    small = ["--train", "32", "--epochs", "1", "--images", "2", "--baseline", "black"]
    first = subprocess.run([*script, *small], capture_output=True, text=True)
    assert first.returncode == 0, first.stderr
    table = (tmp_path / "table.md").read_text()
    assert "| LABN + SGT + bias image | " in table
    assert table.count("| *the slides, DeFN, 512 px* |") == 6
    for name in ("values.csv", "curves-insertion.png", "curves-deletion.png", "maps.png"):
        assert (tmp_path / name).stat().st_size > 1000
    again = subprocess.run([*script, *small], capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "table.md").read_text() == table


def test_a_small_overtraining_study_runs_and_goes_on(tmp_path):
    script = [sys.executable, "-W", "ignore", str(EXAMPLES / "overtraining_study.py"), "--out", str(tmp_path)]
    script += ["--data", "magnetogram:size=32,train=16,val=8,test=8", "--train", "16", "--val", "8", "--test", "8"]
    script += ["--epochs", "2", "--checkpoints", "2", "--seeds", "1", "--masks", "4", "--sanity", "2", "--lr", "0.02"]
    script += ["--batch-size", "16", "--device", "cpu", "--no-figures"]
    first = subprocess.run(script, capture_output=True, text=True)
    assert first.returncode == 0, first.stderr
    study, values = (tmp_path / "study.md").read_text(), (tmp_path / "values.csv").read_bytes()
    for variant in ("plain, with augmentation", "plain, without augmentation", "abn, with augmentation"):
        assert f"| {variant} | 0." in study
    for method in ("saliency", "deconvolution", "guided-backprop-minus", "guided-grad-cam", "smooth-grad", "rise"):
        assert study.count(f"| plain, with augmentation | {method} | ") == 2
    assert study.count("| abn, with augmentation | attention | ") == 2
    journals = {path: path.read_bytes() for path in tmp_path.glob("*/*/journal.jsonl")}
    again = subprocess.run(script, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "study.md").read_text() == study
    assert (tmp_path / "values.csv").read_bytes() == values
    assert {path: path.read_bytes() for path in tmp_path.glob("*/*/journal.jsonl")} == journals


def test_the_overtraining_study_takes_images_as_small_as_they_are_and_epochs_evenly_by_their_logarithms(tmp_path):
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
    both = study.joined([{0: 1.0, 2: 3.0}, {0: 2.0}])
    assert both.tolist() == [1.5, 3.0]


def test_the_figure_of_the_networks_is_drawn(tmp_path):
    script = [sys.executable, str(EXAMPLES / "draw_networks.py"), "--out", str(tmp_path / "networks.png")]
    done = subprocess.run(script, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "networks.png").read_bytes()[:4] == b"\x89PNG"


def test_a_small_training_runs_and_writes_its_files(tmp_path):
    pytest.importorskip("sklearn")
    for place in ("models", "data"):
        (tmp_path / place).mkdir()
    script = [sys.executable, str(EXAMPLES / "train_embedded.py"), "--images", "64", "--epochs", "1", "--test", "50"]
    done = subprocess.run([*script, "--out", str(tmp_path)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "test accuracy" in done.stdout
    assert (tmp_path / "models/embedded.safetensors").stat().st_size > 500_000
    assert len(list((tmp_path / "data/samples").glob("*.png"))) == 24
