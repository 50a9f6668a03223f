"""An evaluation of a folder: masks and maps beside the images, tables, figures, going on after a kill."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from evaluated_case import table
from explainers.cli.main import main
from run_case import embedded, folder

import explainers
from explainers.data.images import read_image
from explainers.data.samples import FOLDER, MASKS, sample_images
from explainers.errors import ImageError


def test_tables_and_figures_of_the_command(tmp_path, capsys):
    out, images = tmp_path / "out", tmp_path / "in"
    images.mkdir()
    for path in sorted(Path(FOLDER).glob("*.png"))[:8]:
        shutil.copy(path, images)
    arguments = [
        "evaluate",
        str(images),
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
    assert "8 images; […] 95 % interval" in printed
    assert "pid@16 ↑, pid@32 ↑: patch 16 32, baseline zero, steps 4" in printed
    rows = table(out / "scores.csv")
    assert len(rows) == 8 * 5 * 4
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
    assert main([*arguments, "--out", str(out), "--figures", "svg", "-q"]) == 0
    assert {path.name for path in out.glob("figure-*")} == {name.replace(".png", ".svg") for name in figures}
    assert ">grad-cam</text>" in (out / "figure-curves-deletion.svg").read_text()
    assert ">best: 0" in (out / "figure-extremes-grad-cam.svg").read_text()
    capsys.readouterr()
    assert main([*arguments, "--out", str(out), "--json", "--no-figures", "--no-report"]) == 0
    assert len(json.loads(capsys.readouterr().out)["scores"]) == 5 * 4


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
    assert "cam: 1 image without a map or value" in captured.out
    assert {row["image"] for row in table(tmp_path / "out/scores.csv") if row["status"] == "failed"} == {"bad.png"}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--metric", "insertoin"], "no metric 'insertoin'; did you mean insertion"),
        (["--metric", "pid:16"], "expected NAME:KEY=VALUE,KEY=VALUE"),
        (["--metric", "miou"], "miou needs masks of what a map should show: pass --masks"),
        (["--maps", "nowhere"], "no folder of maps nowhere"),
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
    assert "\nquantus:NAME " in printed
    assert "patch=1+2+4+8+16+32+64+128, baseline=zero, steps=none, tolerance=0.002" in printed
    assert main(["metrics", "--json"]) == 0
    assert {row["name"] for row in json.loads(capsys.readouterr().out)} == set(explainers.available_metrics())


def test_a_list_of_image_files_is_a_folder(tmp_path):
    result = explainers.evaluate(embedded(), sample_images()[:2], ["cam"], ["sparseness"])
    assert set(result.values("sparseness")["cam"]) == {image.name for image in sample_images()[:2]}


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
