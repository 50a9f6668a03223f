"""Maps in files that say what target they are of, scored for that one and for another."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from detectors import GridDetector, read_grid, spotted_photos
from explainers.cli.main import main
from torch import nn

import explainers
from explainers.core.preprocessing import Preprocessing
from explainers.data.images import write_image
from explainers.errors import MapError
from explainers.models import LoadedModel
from explainers.run import RunOptions, run
from explainers.run.evaluate.folder import files_of
from explainers.run.evaluate.stored_maps import found_maps
from explainers.run.targets import Detected
from explainers.run.targets.regions import region_of
from explainers.run.targets.spelled import spelled_target
from explainers.targets import ClassScore, Function

SIDE = 16
QUICK = {"deletion": explainers.create_metric("deletion", steps=2, baseline="zero")}


def loaded(network, size=(SIDE, SIDE)):
    return LoadedModel(network.eval(), Preprocessing(resize=size), None, "x", None, torch.device("cpu"), "x")


def scores(classes=3):
    torch.manual_seed(3)
    body = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    return loaded(nn.Sequential(*body, nn.Linear(16, classes)))


def segmenter():
    torch.manual_seed(1)
    return loaded(nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 3, 3, 1, 1)))


def largest(returned):
    return returned.max()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two photos, two folders of their masks, and two references of one name."""
    root, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for name in ("0.png", "1.png"):
        write_image(root / "in" / name, rng.integers(0, 255, (SIDE, SIDE, 3), np.uint8))
        for place, folder in ((4, "masks"), (5, "moved")):
            mask = np.zeros((SIDE, SIDE, 3), np.uint8)
            mask[place : place + 6, 3:9] = 255
            write_image(root / folder / name, mask)
    for folder in ("one", "two"):
        write_image(root / folder / "like.png", rng.integers(0, 255, (SIDE, SIDE, 3), np.uint8))
    return root


def targets_of(root, model):
    """Kind → its target as it is explained, the same said in another way, and others with words of the error."""

    def spelled(text):
        return spelled_target(text, model, model.preprocessing)

    return {
        "class": (
            1,
            ClassScore(1),
            [(2, "a map of class 1, and class 2 is asked for"), (Function(largest), "largest")],
        ),
        "difference": (spelled("1 - 2"), spelled("1 - 2"), [(1, "of class 1 - class 2, and class 1 is asked")]),
        "value": (spelled("value:1"), spelled("value:1"), [(spelled("value:2"), "of value 1, and value 2 is asked")]),
        "like": (
            spelled(f"like:{root}/one/like.png"),
            spelled(f"like:{root}/one/like.png"),
            [(spelled(f"like:{root}/two/like.png"), "other contents in like.png"), (0, "like like.png, and class 0")],
        ),
    }


def regions_of(root):
    box = "box:2,2,8,8"
    return {
        "mask": (
            region_of(1, f"mask:{root}/masks"),
            region_of(1, f"mask:{root}/masks"),
            [
                (region_of(2, f"mask:{root}/masks"), "class 1 in its mask, and class 2 in its mask"),
                (region_of(1, f"mask:{root}/moved"), "class 1 in its mask in another place"),
                (region_of(1, "all"), "and class 1 everywhere is asked"),
            ],
        ),
        "box": (
            region_of(0, box),
            region_of(0, box),
            [(region_of(0, "box:2,2,8,9"), "in box:2,2,8,8, and class 0 in")],
        ),
    }


def scored(model, root, stored, target):
    return explainers.evaluate(model, root / "in", {"kept": stored}, QUICK, target)


@pytest.mark.parametrize("kind", ["class", "difference", "value", "like", "mask", "box"])
def test_maps_of_a_run_are_scored_for_their_own_target_alone(kind, root, tmp_path):
    model = segmenter() if kind in ("mask", "box") else scores()
    known = regions_of(root) if kind in ("mask", "box") else targets_of(root, model)
    target, same, others = known[kind]
    run(root / "in", model, ["saliency"], tmp_path / "run", options=RunOptions(target=target, overlays=False))
    stored = (tmp_path / "run/maps", ".saliency")
    rows = [row for row in scored(model, root, stored, same).rows if row["explainer"] == "kept"]
    assert [row["status"] for row in rows] == ["ok", "ok"]
    for other, words in others:
        with pytest.raises(MapError, match="explain run") as caught:
            scored(model, root, stored, other)
        assert words in str(caught.value)


def test_the_other_class_of_one_score_is_no_class(root, tmp_path):
    model = scores(classes=1)
    run(root / "in", model, ["saliency"], tmp_path / "run", options=RunOptions(target="not", overlays=False))
    stored = (tmp_path / "run/maps", ".saliency")
    assert all(row["status"] == "ok" for row in scored(model, root, stored, "not").rows)
    with pytest.raises(MapError, match=r"a map of the other class \(not\), and class 0 is asked for"):
        scored(model, root, stored, 0)


def test_one_map_of_another_target_costs_its_image(root, tmp_path):
    model = scores()
    for name, target in (("one", 1), ("two", 2)):
        options = RunOptions(target=target, overlays=False)
        run(root / "in", model, ["saliency"], tmp_path / name, options=options)
    (tmp_path / "two/maps/1.saliency.npz").replace(tmp_path / "one/maps/1.saliency.npz")
    rows = scored(model, root, (tmp_path / "one/maps", ".saliency"), 1).rows
    assert {row["image"]: row["status"] for row in rows if row["explainer"] == "kept"} == {
        "0.png": "ok",
        "1.png": "failed",
    }


def test_a_detection_of_another_class_and_maps_of_no_detection(tmp_path):
    images = spotted_photos(tmp_path / "in")
    model = loaded(GridDetector(), (48, 64))
    run(images, model, ["saliency"], tmp_path / "run", options=RunOptions(target=Detected(1, 0.1), output=read_grid))
    stored = found_maps(tmp_path / "run/maps", files_of(images), "", detections=True)
    for path in (tmp_path / "run/maps").glob("*.npz"):
        kept = dict(np.load(path))
        np.savez(path, **{**kept, "target": kept["target"] + 1})
    with pytest.raises(MapError, match="is a map of a detection of class"):
        explainers.evaluate(model, images, stored, QUICK, Detected(1, 0.1), output=read_grid)


def test_maps_that_do_not_say_their_target_are_scored_and_it_is_told(root, tmp_path, capsys):
    (tmp_path / "net.py").write_text(
        "from torch import nn\n\ndef make():\n"
        "    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())\n"
    )
    for number in range(2):
        path = tmp_path / "theirs" / f"{number}.npy"
        path.parent.mkdir(exist_ok=True)
        np.save(path, np.random.default_rng(number).random((SIDE, SIDE), np.float32))
    asked = [str(root / "in"), "--model", f"{tmp_path}/net.py:make", "--size", f"{SIDE}x{SIDE}", "--target", "1"]
    more = ["--metric", "sparseness", "--no-figures", "--no-report", "--out", str(tmp_path / "out")]
    assert main(["evaluate", *asked, "--maps", str(tmp_path / "theirs"), *more]) == 0
    assert "the maps of theirs do not say what target they are of" in capsys.readouterr().err
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["maps_without_target"] == ["theirs"]
