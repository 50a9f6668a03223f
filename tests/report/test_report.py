"""What a report holds of a run folder, without a browser."""

from __future__ import annotations

import base64
import csv
import json
import re
import shutil
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
from explainers.cli.main import main
from report_case import HOSTILE, SEGMENTER, digits, evaluated, explained

from explainers.data.images import find_images, write_image
from explainers.errors import DataError, ImageError, OptionError
from explainers.render.report.packing import Packed, unpacked
from explainers.render.style import limits_of
from explainers.run.evaluate.facts import as_typed
from explainers.run.report import report as door
from explainers.run.report.agreement import Agreement, disagreement, ranks_of
from explainers.run.report.cautions import how_to_read
from explainers.run.report.entry import Entry, MapEntry, Shown
from explainers.run.report.evaluated import too_few
from explainers.run.report.gallery import Packer
from explainers.run.report.recipes import network_facts, recipes_of
from explainers.run.report.report import ReportOptions, make_report


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return explained(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    return evaluated(tmp_path_factory.mktemp("evaluation"))


@pytest.fixture
def run(made, tmp_path):
    """A copy that a test may spoil; its images are those of the original."""
    return shutil.copytree(made, tmp_path / "out")


def data_of(page):
    text = page.read_text()
    return json.loads(re.search(r'id="data"[^>]*>(.*?)</script>', text, re.S)[1])


def chunks_of(page):
    found = {}
    for path in sorted(page.parent.glob("files-*/maps-*.js")):
        number, values = re.fullmatch(r"explainersReport\.take\((\d+), (.*)\);\n", path.read_text(), re.S).groups()
        found[int(number)] = json.loads(values)
    return found


def test_images_maps_and_what_is_said_of_them(run):
    page = make_report(run)
    data, chunks = data_of(page), chunks_of(page)
    assert "<dd>embedded, 10 classes, SHA-256 " in page.read_text()
    assert "Each map has its own scale" in page.read_text()
    with (run / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [image["name"] for image in data["images"]] == list(dict.fromkeys(row["file"] for row in rows))
    assert [method["title"] for method in data["methods"]] == ["grad-cam", "saliency"]
    for index, image in enumerate(data["images"]):
        own = [row for row in rows if row["file"] == image["name"]]
        assert image["predicted"] == own[0]["predicted_name"]
        assert image["right"] == (own[0]["predicted"] == own[0]["true"])
        assert (page.parent / image["photo"]).read_bytes()[:2] == b"\xff\xd8"
        for row, map_, text in zip(own, image["maps"], chunks[image["chunk"]][str(index)]["maps"], strict=True):
            with np.load(run / row["map"]) as saved:
                raw = saved["map"]
            height, width = map_["grid"]
            small = unpacked(Packed(height, width, map_["bits"], *map_["range"], text))
            assert map_["limits"] == pytest.approx(list(limits_of(raw)))
            if row["method"] == "grad-cam":
                assert (height, width) < raw.shape, "kept as small as the layer"
            else:
                np.testing.assert_allclose(small, raw, atol=np.ptp(raw) / 8190 * 1.001)


def test_photos_of_a_report_are_called_by_numbers(run):
    page = make_report(run)
    names = {path.name for path in page.parent.rglob("*") if path.is_file() and not path.name.startswith(".")}
    assert names == {"index.html", "maps-0000.js", *(f"{number:06d}.jpg" for number in range(6))}
    assert HOSTILE not in page.read_text()


def test_agreement_is_spearmans_correlation():
    """Against ranks written out: on a map of the grid's size nothing is resized."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 28, 28))
    ranks = [each.ravel().argsort().argsort().astype(float) for each in (first, second)]
    expected = np.corrcoef(*ranks)[0, 1]
    made = [ranks_of(first), ranks_of(second)]
    assert 1 - disagreement(made) == pytest.approx(expected, abs=1e-9)
    assert disagreement([made[0], ranks_of(3 * first + 1)]) == pytest.approx(0, abs=1e-9)
    assert disagreement([made[0], ranks_of(-first)]) == pytest.approx(2, abs=1e-9)
    assert disagreement([made[0], ranks_of(np.ones((28, 28)))]) is None
    table = Agreement(["a", "b", "c"])
    table.add([*made, None])
    table.add([made[0], made[0], None])
    assert table.table()[0][1] == pytest.approx((expected + 1) / 2, abs=1e-9)
    assert table.table()[0][2] is None
    assert table.mean() == pytest.approx((expected + 1) / 2, abs=1e-9)


def test_a_run_that_was_interrupted_says_so(run):
    manifest = json.loads((run / "manifest.json").read_text())
    lines = (run / "journal.jsonl").read_text().splitlines(keepends=True)
    (run / "journal.jsonl").write_text("".join(lines[:4]) + lines[4][:50])
    (run / "manifest.json").write_text(json.dumps({**manifest, "status": "running"}))
    page = make_report(run)
    assert len(data_of(page)["images"]) == 3
    assert "has not come to its end" in page.read_text()
    assert "3 images of 6 are missing" in page.read_text()


def test_photos_that_have_gone_or_changed_are_not_shown(tmp_path):
    out = explained(tmp_path)
    images = tmp_path / "in"
    (images / "0.png").unlink()
    (images / "3.png").write_bytes((images / "4.png").read_bytes())
    page = make_report(out)
    by_name = {image["name"]: image for image in data_of(page)["images"]}
    assert "no longer where it was" in by_name["0.png"]["lacking"]
    assert "has changed" in by_name["3.png"]["lacking"]
    assert "photo" not in by_name["0.png"]
    assert "photo" not in by_name["3.png"]
    assert by_name["4.png"]["lacking"] == ""
    assert by_name["0.png"]["maps"][0]["grid"], "the map is shown without its photo"
    assert "2 photos cannot be shown" in page.read_text()


@pytest.mark.parametrize("where", ["mask", "box", "like"])
def test_photos_are_shown_whatever_their_targets_are_made_of(where, tmp_path):
    images = digits(tmp_path / "in", 3)
    for path in images.iterdir():
        write_image(tmp_path / "masks" / path.name, np.full((28, 28, 3), 255, np.uint8))
    asked = {
        "mask": ("--where", f"mask:{tmp_path / 'masks'}"),
        "box": ("--where", "box:0,0,20,20"),
        "like": ("--target", f"like:{images / '0.png'}"),
    }[where]
    if where != "like":
        (tmp_path / "net.py").write_text(SEGMENTER)
        asked = (*asked, "--target", "1", "--model", f"{tmp_path}/net.py:make", "--size", "28x28")
    out = explained(tmp_path, *asked)
    assert [image["lacking"] for image in data_of(make_report(out))["images"]] == [""] * 3
    (images / "2.png").write_bytes((images / "0.png").read_bytes())
    by_name = {image["name"]: image for image in data_of(make_report(out))["images"]}
    assert {name: "has changed" in image["lacking"] for name, image in by_name.items()} == {
        "0.png": False,
        HOSTILE: False,
        "2.png": True,
    }


def test_maps_that_have_gone_or_are_damaged_say_so(run):
    (run / "maps" / "0.grad-cam.npz").unlink()
    (run / "maps" / "2.grad-cam.npz").write_bytes(b"PK nothing")
    by_name = {image["name"]: image for image in data_of(make_report(run))["images"]}
    assert "no longer there" in by_name["0.png"]["maps"][0]["reason"]
    assert "cannot be read" in by_name["2.png"]["maps"][0]["reason"]
    assert by_name["0.png"]["maps"][0]["status"] == "failed"
    assert "grid" not in by_name["0.png"]["maps"][0]


def test_a_report_that_fails_leaves_the_one_before_it(run, monkeypatch):
    page = make_report(run)
    before = {path: path.read_bytes() for path in page.parent.rglob("*") if path.is_file()}

    def broken(*args, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(door, "page", broken)
    with pytest.raises(KeyboardInterrupt):
        make_report(run)
    assert {path: path.read_bytes() for path in page.parent.rglob("*") if path.is_file()} == before
    monkeypatch.undo()
    make_report(run)
    assert len(list(page.parent.glob("files-*"))) == 1


def test_columns_that_are_not_known_are_things_to_sort_by(run):
    """Rows of other tasks bring columns of their own, and several maps of one method."""
    from explainers.storage.journal import Journal

    journal = Journal(run / "journal.jsonl")
    head, entries = journal.head(), list(journal.entries())
    journal.start(head)
    for entry in entries:
        rows = [{**row, "overlap": 0.25, "box": [1, 2, 3, 4], "object": "a"} for row in entry["rows"]]
        again = [{**row, "target_name": "another", "overlap": 0.75} for row in rows]
        journal.append(entry["id"], [*rows, *again], entry["files"])
    data = data_of(make_report(run))
    place = [score["name"] for score in data["scores"]].index("overlap")
    assert [map_["values"][place] for map_ in data["images"][0]["maps"]] == [0.25, 0.25, 0.75, 0.75]


def test_scores_curves_and_masks_of_an_evaluation(scored):
    page = make_report(scored)
    data, chunks = data_of(page), chunks_of(page)
    with (scored / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = [score["name"] for score in data["scores"]]
    assert set(names) == {row["score"] for row in rows}
    titles = [each["title"] for each in [*data["methods"], *data["controls"]]]
    assert titles == ["grad-cam", "saliency", "random", "center", "edges"]
    held = {
        (image["name"], titles[map_["method"]], name): value
        for image in data["images"]
        for map_ in image["maps"]
        for name, value in zip(names, map_["values"], strict=True)
    }
    for row in rows:
        value = held[row["image"], row["explainer"], row["score"]]
        assert value == pytest.approx(float(row["value"]), rel=1e-5)
    heavy = chunks[0]["0"]
    insertion = next(score for score in names if score.startswith("insertion"))
    for curves, map_ in zip(heavy["curves"], data["images"][0]["maps"], strict=True):
        shares, values = curves[insertion]
        area = np.trapezoid(values, shares)
        assert area == pytest.approx(map_["values"][names.index(insertion)], abs=2e-3)
    with np.load(scored / "maps" / next(iter(sorted(path.name for path in (scored / "maps").iterdir())))) as saved:
        assert saved["map"].size < np.prod(saved["input_size"]) or ".saliency." in saved.zip.filename
    assert heavy["mask"]["grid"] == data["images"][0]["input"]
    curve = data["scores"][names.index(insertion)]["curve"]
    assert (curve["way"], curve["baseline"]) == ("in", "blur")


def test_the_table_is_that_of_the_terminal(scored, capsys):
    page = make_report(scored)
    told = json.loads((scored / "summary.json").read_text())
    text = page.read_text()
    for line in told["lines"]:
        for cell in line:
            assert f">{cell.replace('&', '&amp;')}</t" in text
    for note in told["notes"]:
        assert note[:60] in text.replace("&gt;", ">").replace("&#39;", "'")


def test_an_evaluations_images_that_cannot_be_read_are_shown_with_the_reason(tmp_path):
    images = digits(tmp_path / "in", 2)
    (images / "broken.png").write_bytes(b"no picture")
    command = ["evaluate", str(images), "--model", "embedded", "-m", "saliency", "--metric", "deletion:steps=4"]
    main([*command, "--no-figures", "--no-report", "-q", "--out", str(tmp_path / "out")])
    page = make_report(tmp_path / "out")
    problems = {image["name"]: image["problem"] for image in data_of(page)["images"]}
    assert set(problems) == {"0.png", HOSTILE, "broken.png"}
    assert "broken.png is not an image" in problems.pop("broken.png")
    assert set(problems.values()) == {""}
    assert "1 image failed; its card says why." in page.read_text()


def test_an_evaluation_without_maps_shows_its_table(tmp_path):
    page = make_report(evaluated(tmp_path, "--no-maps"))
    assert "kept no maps" in page.read_text()
    assert not list((tmp_path / "out").glob("maps/*"))


def test_what_is_no_report_is_not_replaced(run, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("<h1>mine</h1>")
    with pytest.raises(OptionError, match="is no report"):
        make_report(run, ReportOptions(to=tmp_path / "site"))
    with pytest.raises(OptionError, match="is no report"):
        make_report(run, ReportOptions(single_file=True, to=tmp_path / "site" / "index.html"))
    with pytest.raises(OptionError, match="is a folder"):
        make_report(run, ReportOptions(single_file=True, to=tmp_path))
    assert (tmp_path / "site" / "index.html").read_text() == "<h1>mine</h1>"
    for _ in range(2):
        make_report(run, ReportOptions(single_file=True, to=tmp_path / "sent.html"))


def test_photos_of_a_report_are_no_images_to_explain(run):
    make_report(run)
    with pytest.raises(ImageError, match="no images below"):
        find_images(run / "report")


def test_a_folder_that_holds_no_run_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds nothing of explain run, evaluate, drift or train"):
        make_report(tmp_path)
    with pytest.raises(OptionError, match="at least 32"):
        ReportOptions(side=8)


def test_the_recipe_makes_the_map_again(run):
    """The Python that the page offers, run as it stands."""
    data = data_of(make_report(run))
    image = data["images"][0]
    python = data["methods"][0]["python"].replace("\0photo\0", json.dumps(image["path"]))
    python = python.replace('explanation.save("map.png")', "")
    scope = {}
    exec(python, scope)
    with np.load(run / "maps" / "0.grad-cam.npz") as saved:
        np.testing.assert_allclose(
            scope["explanation"].maps[0].numpy().reshape(saved["map"].shape), saved["map"], atol=1e-5
        )
    each = {"spec": "embedded", "weights": None}
    facts = {"model": each, "methods": {"cam": {"name": "cam"}}, "targets": "label"}
    recipe = recipes_of(facts, ["cam"])["cam"]
    assert recipe["command"] == "explain run \0photo\0 --model embedded --target \0target\0 -m cam --out \0place\0"
    assert "target=\0target\0)" in recipe["python"]
    command = data["methods"][0]["command"]
    assert command == "explain run \0photo\0 --model embedded -m grad-cam --out \0place\0"


@pytest.mark.parametrize(
    ("facts", "command", "python"),
    [
        (
            {"typed": ["--model", "n.py:f", "--size", "64x64", "--where", "predicted"], "target": "Region(None, 'predicted', None)"},
            "--model n.py:f --size 64x64 --where predicted",
            "target=Region(None, 'predicted')",
        ),
        (
            {"typed": ["--model", "n.py:f", "--task", "detection", "--output", "n.py:g"], "target": "Detected(count=3)"},
            "--model n.py:f --task detection --output n.py:g",
            None,
        ),
        ({"typed": ["--where", "mask:m"], "target": "RegionOf(m)"}, "--model n.py:f --where mask:m", None),
        ({"typed": ["--target", "a - b"], "target": "Difference(0, 1)"}, "--model n.py:f --target 'a - b'", "target='a - b'"),
        ({"typed": ["--window=-1,2", "--output", "1"]}, "--model n.py:f --window=-1,2 --output 1", "output=1"),
        ({"target": "Region(2, None, None)"}, "--model n.py:f --target 2 --where all", "target=Region(2, None)"),
        ({"activation": "sigmoid", "target": 3}, "--model n.py:f --activation sigmoid --target 3", "activation='sigmoid'"),
        ({"target": "Value(0)"}, None, None),
        ({"output": "n.g 0f"}, None, None),
    ],
)  # fmt: skip
def test_recipes_say_what_was_asked_for_or_nothing(facts, command, python):
    """What was typed stands in the command; what Python spells in a line stands in it, and a target object nowhere."""
    options = {key: value for key, value in facts.items() if key != "typed"}
    preprocessing = {"resize": None, "mean": [0.5], "std": [0.5], "source": "weights"}
    told = {"model": {"spec": "n.py:f"}, "methods": {"s": {"name": "saliency"}}, "preprocessing": preprocessing}
    made = recipes_of({**told, "options": options, "typed": facts.get("typed")}, ["s"]).get("s", {})
    assert made.get("command") == (command and f"explain run \0photo\0 {command} -m saliency --out \0place\0")
    assert (python is None) == ("python" not in made)
    assert python is None or python in made["python"]


def test_weights_of_an_evaluation_are_named_and_tell_none_apart():
    loaded = SimpleNamespace(typed=(), weights="w.pt")
    assert as_typed(loaded, {"model": {"spec": "x"}}) == {"model": {"spec": "x", "weights": "w.pt"}}
    assert as_typed(object(), {"model": {"spec": "x"}}) == {}


def test_a_score_by_which_nothing_can_be_told_is_a_caution():
    told = {"images": 4, "untestable": {"deletion": 8, "insertion": 8, "road": None}}
    assert too_few(told) == [
        "By deletion and insertion no difference between methods can be found with 4 images, however large: that needs "
        "8 images, or fewer methods.",
        "By road no difference between methods can be found with 4 images, however large: that needs fewer methods.",
    ]
    assert "single image" in too_few({"images": 1, "untestable": {}})[0]
    assert too_few({"images": 30, "untestable": {}}) == too_few({}) == []


def test_the_box_that_a_map_is_of_lies_in_its_photo(tmp_path):
    """Of a photo of 20 × 40 pixels a box in pixels, as shares of it."""
    np.savez(tmp_path / "m.npz", map=np.eye(4, dtype=np.float32), box=[0, 0, 20, 40], image_size=[20, 40])
    map_ = MapEntry("grad-cam", path=tmp_path / "m.npz", box=(4.0, 5.0, 30.0, 15.0))
    made = Packer(Shown("run", "", methods=["grad-cam"]), 64)(Entry("a.png", maps=[map_]))
    assert made.head["maps"][0]["boxed"] == [0.1, 0.25, 0.75, 0.75]


@pytest.mark.parametrize("box", [None, (4.0, 5.0, 30.0, 15.0)])
def test_the_region_that_a_map_is_of_is_packed_and_that_of_a_box_is_the_box(tmp_path, box):
    """Rows of bits, highest first, as numpy packs them."""
    outline = np.eye(4, dtype=bool)
    np.savez(
        tmp_path / "m.npz", map=np.eye(4, dtype=np.float32), box=[0, 0, 20, 40], image_size=[20, 40], outline=outline
    )
    maps = [MapEntry("grad-cam", path=tmp_path / "m.npz", box=box)]
    made = Packer(Shown("run", "", methods=["grad-cam"]), 64)(Entry("a.png", maps=maps))
    if box is not None:
        assert "regions" not in made.heavy
        return
    (region,) = made.heavy["regions"]
    assert region["grid"] == [4, 4]
    assert zlib.decompress(base64.b64decode(region["data"])) == np.packbits(outline).tobytes()


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({}, ["", ""]),
        ({"model": {"network": "Net"}}, ["Net", ""]),
        (
            {
                "model": {"spec": "n.py:f", "weights": "a/w.pt", "classes": 1000},
                "preprocessing": {"resize": 256, "crop": [7, 9]},
            },
            ["n.py:f, weights w.pt, 1,000 classes", "shorter side resized to 256 pixels, then the middle 9 × 7 pixels"],
        ),
        ({"classes": ["a", "b"], "preprocessing": {"resize": [4, 5]}}, ["2 classes", "resized to 5 × 4 pixels"]),
        ({"preprocessing": {"kind": "signal", "resize": [4, 5]}}, ["", ""]),
    ],
)
def test_the_network_and_its_input_are_told(facts, told):
    assert [value for _, value in network_facts(facts)] == told


def test_colours_and_margins_are_explained_where_they_are():
    plain, signed = {"signed": False}, {"signed": True}
    shown, whole, cut = Shown("run", ""), [0, 0, 1, 1], [0, 0.1, 1, 0.9]

    def read(*images):
        return how_to_read(shown, SimpleNamespace(images=[{"maps": maps, "box": box} for maps, box in images]))

    assert "two colours" not in read(([plain], whole))
    assert "margins" not in read(([plain], whole))
    assert "two colours" in read(([plain], whole), ([plain, signed], whole))
    assert "margins" in read(([plain], whole), ([plain], cut))
    shown.common = True
    assert "All maps of a method have one scale" in read(([plain], whole))
    assert read(([{"status": "failed"}], None)) == "", "no map, nothing to explain"
    shown.preprocessing = {"kind": "signal"}
    assert read(([plain], whole)) == ""
