"""Evaluations of a folder that watch no class: f(x) and its curves by plain loops, what they are called, stored maps."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from detectors import GridDetector, read_grid, spotted_photos
from explainers.cli.main import main
from torch import nn

import explainers
from explainers.core.preprocessing import Preprocessing
from explainers.data.images import read_image, write_image
from explainers.errors import MapError
from explainers.models import LoadedModel
from explainers.run import RunOptions, run
from explainers.run.evaluate.folder import files_of
from explainers.run.evaluate.stored_maps import found_maps
from explainers.run.targets import Detected
from explainers.run.targets.regions import region_of

SIDE, STEPS = 16, 4
METRICS = {name: explainers.create_metric(name, steps=STEPS, baseline="zero") for name in ("deletion", "insertion")}
NETWORK = """
import torch
from torch import nn

def make():
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 3, 3, 1, 1))
"""


def model_of(network):
    return LoadedModel(network.eval(), Preprocessing(resize=(SIDE, SIDE)), None, "x", None, torch.device("cpu"), "x")


def scores():
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two photos of the network's size, in each a bright patch; masks of these; a reference."""
    root, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(2):
        pixels = rng.integers(0, 120, (SIDE, SIDE, 3), np.uint8)
        mask = np.zeros_like(pixels)
        mask[4 : 10 + number, 3:9] = 255
        pixels[mask > 0] = 230
        write_image(root / "in" / f"{number}.png", pixels)
        write_image(root / "masks" / f"{number}.png", mask)
    write_image(root / "like.png", rng.integers(0, 255, (SIDE, SIDE, 3), np.uint8))
    (root / "net.py").write_text(NETWORK)
    return root


def pixels_of(path):
    return torch.from_numpy(read_image(path).pixels.copy()).permute(2, 0, 1) / 255


def loop(watched, image, map_, name):
    """The area under f(x) while one quarter of the pixels after the other goes to 0, or comes in."""
    order = sorted(range(SIDE * SIDE), key=lambda place: -float(map_.flatten()[place]))
    seen = []
    for step in range(STEPS + 1):
        first = order[: round(step / STEPS * SIDE * SIDE)]
        there = torch.zeros(SIDE * SIDE)
        there[first] = 1
        there = there if name == "insertion" else 1 - there
        seen.append(float(watched((image.flatten(1) * there).view_as(image)[None])))
    return sum(a + b for a, b in pairwise(seen)) / 2 / STEPS


def energy(returned):
    return returned.logsumexp(0)


def test_curves_of_regions_likenesses_values_and_functions_are_those_of_plain_loops(photos):
    files = sorted((photos / "in").iterdir())
    images = [pixels_of(file) for file in files]
    masks = [pixels_of(photos / "masks" / file.name)[0] > 0.5 for file in files]
    plain, dense = scores(), nn.Sequential(nn.Conv2d(3, 4, 3, 1, 1), nn.ReLU(), nn.Conv2d(4, 3, 1))
    like = pixels_of(photos / "like.png")[None]
    cases = (
        (dense, region_of(1, f"mask:{photos}/masks"), lambda y, n: dense(y).softmax(1)[0, 1][masks[n]].mean(), "in its mask"),
        (plain, f"like:{photos}/like.png", lambda y, n: F.cosine_similarity(plain(y), plain(like)), "like like.png"),
        (plain, "value:1:lowered", lambda y, n: -plain(y)[0, 1], "value 1, lowered"),
        (plain, energy, lambda y, n: plain(y)[0].logsumexp(0), "energy"),
    )  # fmt: skip
    said = (
        ("probability", "the mean probability of the class over the region; softmax"),
        ("similarity", "a similarity (cosine of embeddings), -1 to 1"),
        ("value", "a value, as it is"),
        ("value", "a value, as it is"),
    )
    for (network, target, watched, named), (quantity, meaning) in zip(cases, said, strict=True):
        result = explainers.evaluate(model_of(network), photos / "in", ["saliency"], METRICS, target)
        rows = [row for row in result.rows if row["explainer"] == "saliency"]
        assert len(rows) == 4
        for row in rows:
            number = int(row["image"][0])
            image = images[number]
            x = image[None].clone().requires_grad_()
            score = network(x)[0, 1][masks[number]].mean() if network is dense else watched(x, number).sum()
            score.backward()
            map_ = x.grad[0].abs().amax(0)
            seen = partial(watched, n=number)
            with torch.no_grad():
                area, value = loop(seen, image, map_, row["metric"]), float(seen(image[None]))
            assert row["value"] == pytest.approx(area, abs=1e-5)
            assert (row["f(x)"] if row["probability"] is None else row["probability"]) == pytest.approx(value, abs=1e-6)
            assert row["quantity"] == quantity
            assert row["target"].endswith(named)
        assert any(line.startswith(f"f(x): {meaning}") for line in result.summary().notes())
        assert result.axes("deletion") == ("share changed", f"f(x): {quantity} ({rows[0]['target']})")
        assert result.plot("insertion").axes[0].get_ylabel() == f"f(x): {quantity} ({rows[0]['target']})"


def command(photos, out, *more):
    model = ["--model", f"{photos}/net.py:make", "--size", f"{SIDE}x{SIDE}"]
    quick = ["--metric", "deletion:steps=2", "--no-figures", "--no-report", "-q"]
    return main(["evaluate", str(photos / "in"), *model, *quick, "--out", str(out), *more])


def test_masks_said_by_where_go_on_and_a_start_that_did_nothing_holds_no_folder(photos, tmp_path, capsys):
    out, asked = tmp_path / "out", ["-m", "saliency", "--target", "1"]
    assert command(photos, out, *asked) == 2
    assert "--where predicted" in capsys.readouterr().err
    where = ["--where", f"mask:{photos}/masks"]
    assert command(photos, out, *asked, *where) == 0
    done, table = (out / "journal.jsonl").read_bytes(), (out / "scores.csv").read_bytes()
    assert command(photos, out, *asked, *where) == 0
    assert ((out / "journal.jsonl").read_bytes(), (out / "scores.csv").read_bytes()) == (done, table)
    capsys.readouterr()
    assert command(photos, out, *asked, "--where", "all") == 2
    assert "holds a run that differs in targets" in capsys.readouterr().err


def test_stored_maps_of_a_region_score_as_those_made_here(photos, tmp_path):
    model = ["--model", f"{photos}/net.py:make", "--size", f"{SIDE}x{SIDE}", "-q", "--no-report"]
    region = ["--target", "1", "--where", f"mask:{photos}/masks"]
    assert main(["run", str(photos / "in"), *model, *region, "-m", "saliency", "--out", str(tmp_path / "run")]) == 0
    assert command(photos, tmp_path / "out", *region, "-m", "saliency", "--maps", str(tmp_path / "run/maps")) == 0
    lines = (tmp_path / "out/summary.csv").read_text().splitlines()
    values = {line.split(",")[0]: float(line.split(",")[4]) for line in lines[1:]}
    assert values["maps/saliency"] == pytest.approx(values["saliency"], abs=1e-6)


def test_stored_maps_of_detections_are_found_by_their_numbers_and_checked_by_their_boxes(tmp_path):
    images = spotted_photos(tmp_path / "in")
    loaded = LoadedModel(
        GridDetector().eval(), Preprocessing(resize=(48, 64)), None, "grid", None, torch.device("cpu"), "x"
    )
    run(images, loaded, ["saliency"], tmp_path / "run", options=RunOptions(target=Detected(2, 0.1), output=read_grid))
    maps = tmp_path / "run/maps"
    stored = found_maps(maps, files_of(images), "", detections=True)
    assert list(stored) == ["maps/saliency"]

    def scored(given, wanted=Detected(2, 0.1)):
        made = explainers.evaluate(loaded, images, {**given, "saliency": "saliency"}, METRICS, wanted, output=read_grid)
        return {(row["explainer"], row["image"], row["metric"]): row for row in made.rows}

    rows = scored(stored)
    own = [key for key in rows if key[0] == "saliency" and key[2]]
    assert len(own) == 6  # one detection of a.png and two of c.png, by two metrics
    for _, image, metric in own:
        kept, made = rows["maps/saliency", image, metric], rows["saliency", image, metric]
        assert kept["value"] == pytest.approx(made["value"], abs=1e-5)
    first, second = maps / "c.saliency.1.npz", maps / "c.saliency.2.npz"
    first.rename(tmp_path / "kept.npz")
    second.rename(first)
    rows = scored(stored)
    reasons = [rows["maps/saliency", f"c.png, detection {rank}", ""]["reason"] for rank in (1, 2)]
    assert "says that it is of another box than c.png, detection 1" in reasons[0]
    assert "no map of c.png: looked for c.saliency.2" in reasons[1]
    assert rows["maps/saliency", "a.png, detection 1", "deletion"]["status"] == "ok"
    (images / "a.png").unlink()  # of what is left no image has a single detection, whose map has no number
    first.rename(second)
    (tmp_path / "kept.npz").rename(first)
    assert scored(stored)["maps/saliency", "c.png, detection 2", "deletion"]["status"] == "ok"
    (tmp_path / "empty").mkdir()
    with pytest.raises(MapError, match=r"no map of any of the 2 images: expected files such as b\.1\.npy"):
        scored({"elsewhere": tmp_path / "empty"})
