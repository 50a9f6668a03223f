"""An evaluation of a folder: masks and maps beside the images, tables, figures, going on after a kill."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from explainers.cli.main import main
from run_case import embedded, folder, held_elsewhere

import explainers
from explainers import create_metric
from explainers.data.images import read_image, write_image
from explainers.data.samples import FOLDER, MASKS, sample_images
from explainers.errors import ImageError, MapError, OptionError

SCRIPT = """
import sys, explainers
from explainers.data.samples import FOLDER, MASKS
print("ready", flush=True)
explainers.evaluate(
    explainers.load_model("embedded", device="cpu"), FOLDER, ["grad-cam", "saliency"],
    [explainers.create_metric("insertion", tolerance=0.02), "pxap"], None, MASKS, out=sys.argv[1], batch_size=4,
    figures=False,
)
"""


def quick(*names):
    return [create_metric(name, steps=4) for name in names]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    subprocess.run([sys.executable, "-W", "ignore", "-c", SCRIPT, str(out)], check=True, stdout=subprocess.DEVNULL)
    return out


@pytest.mark.parametrize("moment", range(3))
def test_a_killed_evaluation_goes_on_and_gives_the_same_table(tmp_path, undisturbed, moment):
    wait = float(np.random.default_rng().uniform(0.2, 4))
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(tmp_path / "out")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(wait)
    process.send_signal(signal.SIGKILL)
    process.wait()
    journal = tmp_path / "out/journal.jsonl"
    before = journal.read_bytes() if journal.exists() else b""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = journal.read_bytes()
    assert after.startswith(before[: before.rfind(b"\n") + 1]), f"killed after {wait} s"

    def content(out):
        return [{key: value for key, value in row.items() if key != "seconds"} for row in table(out / "scores.csv")]

    assert content(tmp_path / "out") == content(undisturbed), f"killed after {wait} s"
    columns = ("explainer", "score", "value", "low", "high", "images")
    one, two = (
        [[row[c] for c in columns] for row in table(out / "summary.csv")] for out in (tmp_path / "out", undisturbed)
    )
    assert one == two


def test_what_is_done_is_not_done_again_and_a_new_image_is_added(tmp_path):
    images, calls = folder(tmp_path / "in"), []

    def counted(batch, targets):
        calls.append(len(batch))
        return batch.mean(1)

    def go():
        return explainers.evaluate(
            embedded(), images, {"mine": counted}, quick("deletion"), out=tmp_path / "out", batch_size=1, figures=False
        )

    first = go()
    assert calls == [1, 1, 1]
    again = go()
    assert calls == [1, 1, 1]
    assert [row["value"] for row in first.rows] == [row["value"] for row in again.rows]
    assert np.array_equal(first.rows[0]["curve"].values, again.rows[0]["curve"].values)
    write_image(tmp_path / "in/d.png", np.random.default_rng(9).integers(0, 255, (40, 40, 3), np.uint8))
    assert len(go().values("deletion")["mine"]) == 4
    assert calls == [1, 1, 1, 1]
    (tmp_path / "in/a.png").unlink()
    assert set(go().values("deletion")["mine"]) == {"d.png", "sub/b.jpg", "sub/c.png"}


def test_another_evaluation_is_not_mixed_into_a_folder(tmp_path):
    images, out = folder(tmp_path / "in"), tmp_path / "out"
    explainers.evaluate(embedded(), images, ["grad-cam"], quick("deletion"), out=out, figures=False)
    for change, text in (
        (
            {"metrics": ["sparseness"]},
            r"metrics\.deletion \(asked for there, not now\); metrics\.sparseness \(not asked for there, ",
        ),
        (
            {"explainers": ["cam"]},
            r"methods\.grad-cam \(asked for there, not now\); methods\.cam \(not asked for there, ",
        ),
        ({"seed": 1}, r"seed \(0 there, 1 now\)\. Go on"),
        ({"targets": 3}, r"targets \(None there, 3 now\)\. Go on"),
    ):
        call = {"explainers": ["grad-cam"], "metrics": quick("deletion"), **change}
        with pytest.raises(OptionError, match=f"holds a run that differs in .*{text}"):
            explainers.evaluate(embedded(), images, **call, out=out, figures=False)


def test_tables_and_figures_of_the_command(tmp_path, capsys):
    out = tmp_path / "out"
    arguments = [
        "evaluate",
        str(FOLDER),
        "--model",
        "embedded",
        "--masks",
        str(MASKS),
        "-m",
        "grad-cam",
        "-m",
        "guided-backprop",
        "--quiet",
    ]
    arguments += ["--metric", "deletion:steps=6", "--metric", "miou", "--metric", "pid:patch=16+32,steps=4"]
    assert main([*arguments, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[0].split()[:3] == ["explainer", "deletion", "↓"]
    assert "24 images; […] 95 % interval" in printed
    assert "pid@16 ↑, pid@32 ↑: patch 16 32, baseline zero, steps 4" in printed
    rows = table(out / "scores.csv")
    assert len(rows) == 24 * 5 * 4
    assert rows[0].keys() >= {
        "image",
        "explainer",
        "metric",
        "score",
        "value",
        "target",
        "baseline",
        "steps",
        "seconds",
    }
    assert {row["score"] for row in rows} == {"deletion", "miou", "pid@16", "pid@32"}
    summary = {(row["explainer"], row["score"]): row for row in table(out / "summary.csv")}
    values = [float(row["value"]) for row in rows if (row["explainer"], row["score"]) == ("grad-cam", "miou")]
    assert float(summary["grad-cam", "miou"]["value"]) == pytest.approx(np.mean(values))
    assert (out / "summary.md").read_text().startswith("| explainer | deletion ↓ |")
    facts = json.loads((out / "manifest.json").read_text())
    assert facts["metrics"]["deletion"] == {"name": "deletion", "baseline": "zero", "steps": 6}
    assert len(facts["tests"]) == 10 * 4
    figures = {path.name for path in out.glob("figure-*.png")}
    assert figures == {
        "figure-values.png",
        "figure-agreement.png",
        "figure-curves-deletion.png",
        "figure-extremes-grad-cam.png",
        "figure-extremes-guided-backprop.png",
    }
    for name in figures:
        assert read_image(out / name).pixels.std() > 5
    assert main([*arguments, "--out", str(out), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["scores"]) == 5 * 4


def test_masks_lie_over_what_the_network_sees(tmp_path):
    """A photo that is resized and cropped: the mask is cut like it, and a map that shows the mask scores 1."""
    pixels = np.random.default_rng(0).integers(0, 255, (120, 200, 3), np.uint8)
    mask = np.zeros((120, 200), np.uint8)
    mask[30:90, 80:120] = 255
    write_image(tmp_path / "in/a.jpg", pixels)
    write_image(tmp_path / "masks/a.png", mask)
    seen = []

    def explainer(images, targets):
        map_ = torch.zeros(len(images), 96, 96)
        map_[:, 24:72, 32:64] = 1  # 120 rows become 96; the columns 40 … 160 do
        seen.append(images.shape)
        return map_

    model = embedded()
    square = explainers.Preprocessing(resize=96, crop=(96, 96), mean=(0.5,) * 3, std=(0.25,) * 3)
    result = explainers.evaluate(
        model,
        tmp_path / "in",
        {"mine": explainer},
        ["miou", "energy-pointing-game"],
        masks=tmp_path / "masks",
        preprocessing=square,
    )
    assert seen == [(1, 3, 96, 96)]
    assert result.values("miou")["mine"] == {"a.jpg": 1.0}
    assert result.values("energy-pointing-game")["mine"] == {"a.jpg": 1.0}


def test_masks_that_do_not_fit_are_named(tmp_path):
    images, masks = folder(tmp_path / "in", ("a.png", "b.png")), tmp_path / "masks"

    def go(metrics=("miou",)):
        explainers.evaluate(embedded(), images, ["cam"], metrics, masks=masks)

    with pytest.raises(MapError, match="no folder .*masks of masks"):
        go()
    write_image(masks / "a.png", np.full((40, 64), 255, np.uint8))
    with pytest.raises(MapError, match=r"has no mask of b\.png: looked for b with \.npy, \.npz or an image's suffix"):
        go()
    write_image(masks / "b.png", np.full((9, 9), 255, np.uint8))
    with pytest.raises(MapError, match="9 × 9 pixels; its photo has 50 × 64, what the network sees of it 96 × 96"):
        go()
    write_image(masks / "b.png", np.zeros((50, 64), np.uint8))
    with pytest.raises(MapError, match=r"the mask .*b\.png has nothing inside"):
        go()
    (masks / "b.png").unlink()
    np.save(masks / "b.npy", np.eye(96))
    go()
    write_image(masks / "b.jpg", np.full((50, 64), 255, np.uint8))
    with pytest.raises(MapError, match=r"several masks of b\.png: .*b\.npy, .*b\.jpg; leave the one"):
        go()


@pytest.mark.parametrize("form", ["npy", "npz", "png"])
def test_maps_made_elsewhere_score_as_those_made_here(tmp_path, form):
    images, model = folder(tmp_path / "in"), embedded()
    maps = tmp_path / "maps"
    made = {}

    def mine(batch, targets):
        return (batch.mean(1) * 10).round().clamp(0, 255)

    for name in ("a.png", "sub/b.jpg", "sub/c.png"):
        image = model.preprocessing(read_image(images / name).pixels)[None]
        made[name] = mine(image, None)[0].numpy()
        path = (maps / name).with_suffix("." + form)
        path.parent.mkdir(parents=True, exist_ok=True)
        if form == "npy":
            np.save(path, made[name])
        elif form == "npz":
            np.savez(path, map=made[name])
        else:
            write_image(path, made[name].astype(np.uint8))
    result = explainers.evaluate(model, images, {"stored": maps, "mine": mine}, quick("insertion", "deletion"))
    for score in ("insertion", "deletion"):
        assert result.values(score)["stored"] == result.values(score)["mine"]
    before = explainers.evaluate(model, images, {"stored": maps}, ["sparseness"], out=tmp_path / "out", figures=False)
    if form == "npy":  # maps that were made anew are scored anew
        np.save(maps / "a.npy", made["a.png"] ** 2)
        after = explainers.evaluate(
            model, images, {"stored": maps}, ["sparseness"], out=tmp_path / "out", figures=False
        )
        one, two = (each.values("sparseness")["stored"] for each in (before, after))
        assert one["a.png"] != two["a.png"]
        assert one["sub/b.jpg"] == two["sub/b.jpg"]
    with_sanity = explainers.evaluate(model, images, {"stored": maps}, ["model-randomisation", "sparseness"])
    assert "stored" not in {row["explainer"] for row in with_sanity.rows if row["metric"] == "model-randomisation"}


def test_the_maps_of_a_run_are_found_by_their_methods(tmp_path, capsys):
    images, explained = folder(tmp_path / "in"), tmp_path / "explained"
    assert (
        main(
            [
                "run",
                str(images),
                "--model",
                "embedded",
                "-m",
                "cam",
                "-m",
                "layer-cam",
                "--no-overlays",
                "--out",
                str(explained),
                "-q",
            ]
        )
        == 0
    )
    arguments = [
        "evaluate",
        str(images),
        "--model",
        "embedded",
        "-m",
        "cam",
        "--maps",
        f"run={explained / 'maps'}",
        "--metric",
        "deletion:steps=4",
    ]
    assert main([*arguments, "--out", str(tmp_path / "out"), "--no-figures", "-q"]) == 0
    rows = table(tmp_path / "out/scores.csv")
    values = {}
    for row in rows:
        values.setdefault(row["explainer"], []).append(row["value"])
    assert set(values) == {"random", "center", "edges", "cam", "run/cam", "run/layer-cam"}
    assert values["run/cam"] == values["cam"]


def test_maps_that_do_not_fit_are_named(tmp_path):
    images, maps = folder(tmp_path / "in", ("a.png",)), tmp_path / "maps"
    maps.mkdir()

    def go():
        explainers.evaluate(embedded(), images, {"stored": maps}, quick("deletion"))

    with pytest.raises(MapError, match=r"has no map of a\.png"):
        go()
    np.save(maps / "a.npy", np.zeros((7, 7)))
    with pytest.raises(MapError, match=r"a\.npy has 7 × 7 pixels; its photo has 40 × 64"):
        go()
    np.save(maps / "a.npy", np.zeros((3, 96, 96)))
    with pytest.raises(MapError, match=r"has shape \(3, 96, 96\); expected \(H, W\)"):
        go()
    np.save(maps / "a.npy", np.array([["a"]]))
    with pytest.raises(MapError, match="expected numbers"):
        go()
    (maps / "a.npy").write_bytes(b"no array")
    with pytest.raises(MapError, match=r"cannot read .*a\.npy"):
        go()
    (maps / "a.npy").unlink()
    write_image(maps / "a.png", np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8))
    with pytest.raises(MapError, match="coloured picture; give raw values"):
        go()


def test_a_damaged_image_costs_itself_and_the_exit_code(tmp_path, capsys):
    images = folder(tmp_path / "in")
    (images / "bad.png").write_bytes(b"no image")
    arguments = [
        "evaluate",
        str(images),
        "--model",
        "embedded",
        "-m",
        "cam",
        "--metric",
        "sparseness",
        "--out",
        str(tmp_path / "out"),
        "-q",
    ]
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert "failed: bad.png: " in captured.err
    assert "cam: 1 images without a map or value" in captured.out
    assert {row["image"] for row in table(tmp_path / "out/scores.csv") if row["status"] == "failed"} == {"bad.png"}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--metric", "insertoin"], "no metric 'insertoin'; did you mean insertion"),
        (["--metric", "pid:16"], "expected NAME:KEY=VALUE,KEY=VALUE"),
        (["--metric", "miou"], "miou needs masks of what a map should show: pass --masks"),
        (["--maps", "nowhere"], "no folder nowhere of maps"),
        (["--target", "cat"], "no class 'cat'"),
        (["--target", "12"], "target 12 is out of range"),
        (["-m", "gradcam"], "no method 'gradcam'"),
    ],
)
def test_what_was_typed_wrong_is_named(tmp_path, capsys, arguments, text):
    images = folder(tmp_path / "in", ("a.png",))
    assert main(["evaluate", str(images), "--model", "embedded", *arguments, "--out", str(tmp_path / "out"), "-q"]) == 2
    assert text in capsys.readouterr().err


def test_an_empty_folder_has_no_images(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(ImageError, match="no images below"):
        explainers.evaluate(embedded(), tmp_path / "in", ["cam"])


def test_generated_images_come_with_masks_and_labels(tmp_path, capsys):
    arguments = ["evaluate", "digits:3", "-m", "cam", "--metric", "miou", "--metric", "threshold-deletion:thresholds=3"]
    assert main([*arguments, "--out", str(tmp_path / "out"), "-q", "--no-figures"]) == 0
    assert len(table(tmp_path / "out/scores.csv")) == 3 * 4 * 2
    assert len(list((tmp_path / "out/digits/masks").iterdir())) == 3
    assert main(["evaluate", "digits:none", "--out", str(tmp_path / "out"), "-q"]) == 2
    assert "expected digits:N" in capsys.readouterr().err


def test_metrics_of_quantus_are_named_with_their_options(tmp_path):
    arguments = [
        "evaluate",
        str(folder(tmp_path / "in", ("a.png",))),
        "--model",
        "embedded",
        "--metric",
        "quantus:Sparseness:abs=true",
    ]
    assert main([*arguments, "--metric", "sparseness", "--out", str(tmp_path / "out"), "--no-figures", "-q"]) == 0
    rows = {(row["explainer"], row["metric"]): row for row in table(tmp_path / "out/scores.csv")}
    theirs, ours = (float(rows["grad-cam", name]["value"]) for name in ("quantus:Sparseness", "sparseness"))
    assert theirs == pytest.approx(ours, abs=1e-4)
    assert rows["grad-cam", "quantus:Sparseness"]["abs"] == "True"


def test_metrics_are_listed_with_their_options(capsys):
    assert main(["metrics"]) == 0
    printed = capsys.readouterr().out
    for name in explainers.available_metrics():
        assert f"\n{name} " in "\n" + printed
    assert "patch=1+2+4+8+16+32+64+128, baseline=zero, steps=none, tolerance=0.002" in printed
    assert main(["metrics", "--json"]) == 0
    assert {row["name"] for row in json.loads(capsys.readouterr().out)} == set(explainers.available_metrics())


def test_a_list_of_image_files_is_a_folder(tmp_path):
    result = explainers.evaluate(embedded(), sample_images()[:2], ["cam"], ["sparseness"])
    assert set(result.values("sparseness")["cam"]) == {image.name for image in sample_images()[:2]}


def test_a_folder_that_another_evaluation_writes_to_is_refused_and_left_as_it_is(tmp_path, capsys):
    call = ["evaluate", str(folder(tmp_path / "in")), "--model", "embedded", "-m", "saliency", "--metric", "sparseness"]
    call += ["--out", str(tmp_path / "out"), "--quiet"]
    assert main(call) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    for more in ([], ["--overwrite"]):
        with held_elsewhere(tmp_path / "out"):
            assert main([*call, *more]) == 2
        assert "another process is writing to" in capsys.readouterr().err
        assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(("images", "warned"), [(7, True), (8, False)])
def test_the_command_says_before_it_starts_how_many_images_it_takes(tmp_path, capsys, images, warned):
    """One method beside three controls makes six pairs, which need eight images."""
    from explainers.evaluation.statistics import images_needed

    assert images_needed(6) == 8
    command = ["evaluate", f"digits:{images}", "-m", "saliency", "--metric", "sparseness", "--no-figures"]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    assert ("no difference between 4 maps (controls among them) can be found, however large" in said.err) is warned
    assert ("6 pairs need 8 images" in said.out) is warned
