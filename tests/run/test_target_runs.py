"""Target objects through the commands: tables, maps, resuming, refusals, evaluations."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from explainers.cli.main import main
from run_case import embedded, folder, rows

import explainers
from explainers.data.images import write_image
from explainers.errors import OptionError
from explainers.methods import create
from explainers.run import RunOptions, run
from explainers.run.targets.regions import MaskRegions
from explainers.targets import Difference, Function, Region, Similarity, Value

NETWORK = """
import torch
from torch import nn

class Segmenter(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(4)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU())
        self.head = nn.Conv2d(8, 3, 3, 1, 1)

    def forward(self, x):
        return {"out": 20 * self.head(self.body(x))}

def make():
    return Segmenter().eval()

def peak(returned):
    return returned["out"][1].max()
"""


def command(tmp_path, out, *more, kind="run", network=True):
    """A run of saliency of three images."""
    photos = folder(tmp_path / "photos") if not (tmp_path / "photos").exists() else tmp_path / "photos"
    (tmp_path / "net.py").write_text(NETWORK)
    model = ["--model", f"{tmp_path}/net.py:make", "--size", "32x32"] if network else ["--model", "embedded"]
    return main([kind, str(photos), *model, "-m", "saliency", "--out", str(tmp_path / out), "-q", *more])


def test_a_difference_in_the_table_and_the_maps(tmp_path):
    assert command(tmp_path, "out", "--target", "three - next", network=False) == 0
    loaded = embedded()
    for row in rows(tmp_path / "out"):
        photo = explainers.data.images.read_image(tmp_path / "photos" / row["file"])
        x = loaded.preprocessing(photo.input)[None]
        p = loaded.network(x).softmax(1)[0]
        other = next(each for each in p.argsort(descending=True).tolist() if each != 3)
        assert row["target"] == f"class 3 - class {other}"
        assert row["target_name"] == f"three - {loaded.class_names[other]}"
        assert row["quantity"] == "difference"
        assert float(row["target_probability"]) == pytest.approx(float(p[3] - p[other]), abs=2e-6)
        assert int(row["predicted"]) == int(p.argmax())
        with np.load(tmp_path / "out" / row["map"]) as saved:
            wanted = create("saliency", loaded)(x, Difference(3, other))[0]
            np.testing.assert_allclose(saved["map"], wanted, atol=1e-6)
            assert str(saved["target"]) == row["target"]


def test_another_target_is_refused_and_the_difference_named(tmp_path, capsys):
    assert command(tmp_path, "out", "--target", "3 - 5", network=False) == 0
    capsys.readouterr()
    assert command(tmp_path, "out", "--target", "3 - 6", network=False) != 0
    assert "options.target ('Difference(3, 5, 1.0)' there, 'Difference(3, 6, 1.0)' now)" in capsys.readouterr().err
    assert command(tmp_path, "out", "--target", "3 - 5", network=False) == 0


def test_regions_of_photos(tmp_path):
    for name, (height, width) in {"a.png": (40, 64), "sub/b.png": (50, 64), "sub/c.png": (60, 64)}.items():
        mask = np.zeros((height, width, 3), np.uint8)
        mask[: height // 2] = 255
        write_image(tmp_path / "masks" / name, mask)
    loaded = explainers.load_model(f"{_network(tmp_path)}:make", device="cpu")
    for where, region in (
        ("box:0,0,32,20", lambda h, w: (0.0, 0.0, 16.0, 20 * 32 / h)),
        ("pixel:63,0", lambda h, w: (63 * 32 / w, 0.0, 32.0, 32 / h)),
        ("predicted", lambda h, w: "predicted"),
        ("all", lambda h, w: None),
        (f"mask:{tmp_path}/masks", lambda h, w: torch.arange(32)[:, None].expand(32, 32) < 16),
    ):
        out = f"out-{where.partition(':')[0]}"
        index = None if where == "predicted" else 1  # which it is not, in every image
        assert command(tmp_path, out, "--where", where, *([] if index is None else ["--target", "1"])) == 0
        for row in rows(tmp_path / out):
            photo = explainers.data.images.read_image(tmp_path / "photos" / row["file"])
            preprocessing = explainers.models.Preprocessing(resize=(32, 32))
            x = preprocessing(photo.input)[None]
            target = Region(index, region(*photo.pixels.shape[:2]))
            with np.load(tmp_path / out / row["map"]) as saved:
                np.testing.assert_allclose(saved["map"], create("saliency", loaded)(x, target)[0], atol=1e-5)
                assert ("outline" in saved.files) == (where != "all")


def test_a_changed_mask_is_explained_again(tmp_path):
    photos = folder(tmp_path / "photos", ("a.png",))
    mask = np.full((40, 64, 3), 255, np.uint8)
    write_image(tmp_path / "masks" / "a.png", mask)
    assert command(tmp_path, "out", "--where", f"mask:{tmp_path}/masks", "--target", "1") == 0
    before = rows(tmp_path / "out")[0]["target_probability"]
    mask[20:] = 0
    write_image(tmp_path / "masks" / "a.png", mask)
    assert command(tmp_path, "out", "--where", f"mask:{tmp_path}/masks", "--target", "1") == 0
    assert rows(tmp_path / "out")[0]["target_probability"] != before
    (tmp_path / "masks" / "a.png").unlink()
    assert command(tmp_path, "none", "--where", f"mask:{tmp_path}/masks") != 0
    assert not (tmp_path / "none" / "results.csv").exists()
    assert photos.exists()


def test_a_changed_reference_is_another_run(tmp_path, capsys):
    (reference,) = folder(tmp_path / "like", ("a.png",)).iterdir()
    assert command(tmp_path, "out", "--target", f"like:{reference}", network=False) == 0
    write_image(reference, np.zeros((40, 64, 3), np.uint8))
    capsys.readouterr()
    assert command(tmp_path, "out", "--target", f"like:{reference}", network=False) == 2
    assert "holds a run that differs in options.target" in capsys.readouterr().err


def test_a_mask_that_is_removed_meanwhile_costs_its_image(tmp_path, monkeypatch):
    for name in ("a.png", "b.png"):
        write_image(tmp_path / "masks" / name, np.full((40, 64, 3), 255, np.uint8))
    folder(tmp_path / "photos", ("a.png", "b.png"))
    whole = MaskRegions.check

    def check(self, files):
        whole(self, files)
        (tmp_path / "masks" / "b.png").unlink()

    monkeypatch.setattr(MaskRegions, "check", check)
    assert command(tmp_path, "out", "--where", f"mask:{tmp_path}/masks", "--target", "1") == 1
    assert [row["status"] for row in rows(tmp_path / "out")] == ["ok", "failed"]
    assert "no mask of b.png" in rows(tmp_path / "out")[1]["reason"]


def test_wrong_targets_end_before_anything_is_written(tmp_path, capsys):
    for more, said in (
        (("--target", "9", "--where", "all"), "target 9 is out of range: the network has classes 0 … 2"),
        (("--target", "0 - 1", "--where", "all"), "needs a class"),
        (("--where", "here"), "expected predicted, all, mask:FOLDER"),
        (("--where", "box:1,2,3"), "expected 4 numbers"),
        (("--target", "like:nothing.png"), "nothing.png"),
        (("--target", "a - b"), "not known"),
    ):
        assert command(tmp_path, "out", *more) == 2
        assert said in capsys.readouterr().err
        assert not (tmp_path / "out" / "results.csv").exists()


def test_a_function_from_a_file(tmp_path):
    assert command(tmp_path, "out", "--target", f"{_network(tmp_path)}:peak") == 0
    row = rows(tmp_path / "out")[0]
    assert (row["target"], row["quantity"], row["predicted"]) == ("peak", "value", "")


def test_kinds_of_targets_through_an_evaluation_that_was_interrupted(tmp_path):
    loaded = embedded()
    x = torch.randn(3, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    targets = (
        Difference(3, 5),
        Value(2),
        Similarity(x[0]),
        Function(lambda y: y[1] - y[0], "own"),
        [None, 2, Value(1)],
    )
    for number, target in enumerate(targets):
        out, metrics = tmp_path / str(number), [explainers.create_metric("deletion", steps=2), "increase"]
        asked = {"metrics": metrics, "targets": target, "out": out, "figures": False, "batch_size": 2}
        whole = explainers.evaluate(loaded, x, ["saliency"], **{**asked, "out": None})
        seen = []

        def stop(done, total, name, seen=seen):
            seen.append(name)
            if len(seen) == 3:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            explainers.evaluate(loaded, x, ["saliency"], progress=stop, **asked)
        found = explainers.evaluate(loaded, x, ["saliency"], **asked)
        assert [row["value"] for row in found.rows] == pytest.approx([row["value"] for row in whole.rows])
        assert [row["target"] for row in found.rows] == [row["target"] for row in whole.rows]
    with pytest.raises(OptionError, match="targets"):
        explainers.evaluate(loaded, x, ["saliency"], **{**asked, "out": tmp_path / "0", "targets": Difference(3, 2)})


def test_deletion_of_a_difference_is_the_area_under_it():
    loaded = embedded()
    x = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    metric = explainers.create_metric("deletion", steps=2)
    maps = torch.arange(96 * 96.0).view(1, 96, 96)
    half = x.clone()
    half[:, :, 48:] = 0
    p = loaded.network(torch.cat([x, half, 0 * x])).softmax(1)
    y = (p[:, 3] - p[:, 5]).tolist()
    wanted = (y[0] + y[1]) / 4 + (y[1] + y[2]) / 4
    assert float(metric(loaded, x, maps, Difference(3, 5))) == pytest.approx(wanted, abs=1e-6)


def test_metrics_of_classes_and_ratios_are_refused_for_what_is_none():
    loaded, x = embedded(), torch.randn(1, 3, 96, 96)
    for name, said in (("threshold-insertion", "made of predicted classes"), ("average-drop", "divides by f")):
        for target in (Difference(3, 5), Value(1)):
            with pytest.raises(OptionError, match=said):
                explainers.evaluate(loaded, x, ["saliency"], [name], target)


def test_the_manifest_and_the_library_say_the_same(tmp_path):
    photos = folder(tmp_path / "photos")
    run(photos, embedded(), ["saliency"], tmp_path / "out", options=RunOptions(target=Difference(3, 5, 0.5)))
    facts = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert facts["options"]["target"] == "Difference(3, 5, 0.5)"
    assert facts["f(x)"].startswith("a difference of two classes")
    run(photos, embedded(), ["saliency"], tmp_path / "other", options=RunOptions(target="three - 0.5 five"))
    assert (tmp_path / "other" / "maps" / "a.saliency.npz").exists()
    one, two = ((tmp_path / name / "results.csv").read_text() for name in ("out", "other"))
    plain = [[{**row, "seconds": ""} for row in csv.DictReader(text.splitlines())] for text in (one, two)]
    assert plain[0] == plain[1]


def _network(tmp_path):
    (tmp_path / "net.py").write_text(NETWORK)
    return tmp_path / "net.py"


def test_a_mask_that_could_be_of_two_photos_costs_these_two(tmp_path):
    folder(tmp_path / "photos", ("a.jpg", "a.png", "b.png"))
    for name, height in (("a", 40), ("b", 60)):
        write_image(tmp_path / "masks" / f"{name}.png", np.full((height, 64, 3), 255, np.uint8))
    (tmp_path / "masks" / "a.png").rename(tmp_path / "masks" / "a.tif")
    asked = ("--where", f"mask:{tmp_path}/masks", "--target", "1")
    assert command(tmp_path, "out", *asked) == 1
    told = {row["file"]: (row["status"], row["reason"]) for row in rows(tmp_path / "out")}
    assert told.pop("b.png") == ("ok", "")
    assert {status for status, _ in told.values()} == {"failed"}
    assert all("a.tif could be the mask of a.jpg and of a.png" in reason for _, reason in told.values())
    (tmp_path / "photos" / "a.jpg").unlink()
    assert command(tmp_path, "out", *asked) == 1  # the other mask is 40 pixels high
    write_image(tmp_path / "masks" / "a.png", np.full((50, 64, 3), 255, np.uint8))
    (tmp_path / "masks" / "a.tif").unlink()
    assert command(tmp_path, "out", *asked) == 0
    assert [row["status"] for row in rows(tmp_path / "out")] == ["ok", "ok"]
