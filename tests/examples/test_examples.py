"""The examples run as they are."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

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
