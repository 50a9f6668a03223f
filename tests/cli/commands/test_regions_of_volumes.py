"""A class of a segmentation network over a region of volumes and signals, by the command."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from explainers.cli.main import main
from recording_case import BLOBS, SHAPE, scans

NETWORK = """
import torch
from torch import nn


class Bright(nn.Module):
    '''Class 1 where a place is brighter than 0.5, class 2 nowhere.'''

    def __init__(self, convolution):
        super().__init__()
        self.first, self.relu, self.head = convolution(1, 2, 1), nn.ReLU(), convolution(2, 3, 1)
        with torch.no_grad():
            for layer, weight, bias in (
                (self.first, [[1.0], [-1.0]], [-0.5, 0.5]),
                (self.head, [[-8.0, 8.0], [8.0, -8.0], [0.0, 0.0]], [0.0, 0.0, -9.0]),
            ):
                layer.weight.copy_(torch.tensor(weight).reshape(layer.weight.shape))
                layer.bias.copy_(torch.tensor(bias))

    def forward(self, x):
        return self.head(self.relu(self.first(x)))


def volume():
    return Bright(nn.Conv3d)


def signal():
    return Bright(nn.Conv1d)


def means(y):
    return y.mean((2, 3, 4))
"""
FOLDER = ("scans", "--model", "net.py:volume", "--window", "0,1000", "-m", "saliency", "--quiet", "--no-report")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("regions")
    scans(root)
    (root / "net.py").write_text(NETWORK)
    (root / "lines").mkdir()
    np.save(root / "lines" / "s.npy", np.r_[np.zeros(20), np.ones(4), np.zeros(16)].astype(np.float32)[None])
    return root


@pytest.fixture
def here(made, monkeypatch):
    monkeypatch.chdir(made)
    return made


def rows(path):
    with open(path, encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_region_of_scans_is_explained_drawn_and_scored(here):
    for where, out in (("predicted", "found"), ("mask:masks", "masked")):
        assert main(["run", *FOLDER, "--target", "1", "--where", where, "--out", out]) == 0
        for name, blob in BLOBS.items():
            with np.load(here / out / "maps" / f"{name}.saliency.npz") as saved:
                assert np.argwhere(saved["outline"]).tolist() == [list(blob)]
                assert np.argwhere(saved["map"] > 0).tolist() == [list(blob)]
            assert (here / out / "overlays" / f"{name}.saliency.webp").is_file()
        assert {row["target"] for row in rows(here / out / "results.csv")} == {
            "class 1 where it is predicted" if out == "found" else "class 1 in its mask"
        }
    asked = ["--target", "1", "--where", "mask:masks", "--masks", "masks", "--maps", "mine=masked/maps"]
    metrics = ["--metric", "pointing-game", "--metric", "deletion:baseline=mean", "--no-figures", "--out", "scored"]
    assert main(["evaluate", *FOLDER, *asked, *metrics]) == 0
    found = [row for row in rows(here / "scored" / "scores.csv") if row["metric"] == "pointing-game"]
    hits = {(row["explainer"], row["image"]): float(row["value"]) for row in found}
    for name in BLOBS:
        assert hits["saliency", f"{name}.nii.gz"] == hits["mine/saliency", f"{name}.nii.gz"] == 1
    values = {float(row["probability"]) for row in rows(here / "scored" / "scores.csv")}
    assert min(values) > 0.99  # of the class at the bright voxel
    other = ["--target", "1", "--where", "box:0:4,0:5,0:8", "--maps", "mine=masked/maps", "--out", "other"]
    assert main(["evaluate", *FOLDER, *other, "--metric", "deletion:baseline=mean", "--no-figures"]) != 0


def test_boxes_and_places_are_said_of_the_file(here):
    where = ["--target", "1", "--where", "box:2:6,0:10,1:5", "--size", "7,10,4", "--out", "sized"]
    assert main(["run", *FOLDER, *where]) == 0
    with np.load(here / "sized" / "maps" / "a.saliency.npz") as saved:
        drawn = np.zeros((7, 10, 4), bool)
        drawn[1:3, :, :3] = True  # half as many places along the first axis and the last
        np.testing.assert_array_equal(saved["outline"], drawn)
    line = ["lines", "--model", "net.py:signal", "-m", "saliency", "--target", "1", "--quiet", "--no-report"]
    assert main(["run", *line, "--where", "box:18:22", "--out", "line"]) == 0
    with np.load(here / "line" / "maps" / "s.saliency.npz") as saved:
        assert np.flatnonzero(saved["outline"]).tolist() == [18, 19, 20, 21]
    assert main(["run", *line, "--where", "sample:21", "--out", "sample"]) == 0
    assert rows(here / "sample" / "results.csv")[0]["target"] == "class 1 in sample:21"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--where", "voxel:1,2"), "such as voxel:12,30,8"),
        (("--where", "box:4:4,0:5,0:3"), "the box is empty"),
        (("--where", "sample:3"), "voxel:A,B,C"),
        (("--target", "3", "--where", "mask:masks"), "target 3 is out of range"),
        (("--where", "predicted", "--output", "net.py:means"), "needs scores at each position, (N, classes, d, h, w)"),
    ],
)
def test_what_means_nothing_is_refused_before_anything_is_done(here, arguments, said, capsys):
    assert main(["run", *FOLDER, *arguments, "--out", "nothing"]) == 2
    assert said in capsys.readouterr().err
    assert not (here / "nothing").exists()


def test_what_does_not_lie_in_a_scan_costs_that_scan(here, capsys):
    nibabel = pytest.importorskip("nibabel")
    (here / "moved").mkdir()
    for name, shift in (("a", 0.0), ("b", 5.0)):
        affine = np.diag([2.0, 1.0, 3.0, 1.0])
        affine[0, 3] = shift
        nibabel.save(nibabel.Nifti1Image(np.ones(SHAPE, np.uint8), affine), here / "moved" / f"{name}.nii.gz")
    assert main(["run", *FOLDER, "--target", "1", "--where", "mask:moved", "--out", "apart"]) == 1
    assert "lies elsewhere than the volume" in capsys.readouterr().err
    assert {row["file"]: row["status"] for row in rows(here / "apart" / "results.csv")} == {
        "a.nii.gz": "constant",  # of all places
        "b.nii.gz": "failed",
    }
    assert main(["run", *FOLDER, "--target", "2", "--where", "predicted", "--out", "nowhere"]) == 2
    assert "class 2 is predicted nowhere in this volume" in capsys.readouterr().err


def test_doctor_gives_commands_with_the_middle_of_a_scan(here, capsys, monkeypatch):
    monkeypatch.setattr("explainers.methods.available", lambda: ["saliency"])
    main(["doctor", "--model", "net.py:volume", "--window", "0,1000", "--image", "scans/a.nii.gz"])
    told = capsys.readouterr().out
    assert "segmentation: 3 classes at 14 × 10 × 8 positions" in told
    assert "--target 0 --where box:3:10,2:7,2:6" in told
    assert "--target 0 --where voxel:7,5,4" in told
