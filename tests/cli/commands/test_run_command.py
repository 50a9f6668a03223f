"""`explain run`, and `explain FOLDER`: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from explainers.cli.main import main
from run_case import rows

from explainers.data.images import read_image
from explainers.render import contact_sheet
from explainers.run import figure_files


def test_a_folder_alone_is_explained_with_grad_cam(images, tmp_path, capsys):
    assert main([str(images), "--out", str(tmp_path / "out"), "--device", "cpu"]) == 0
    printed = capsys.readouterr()
    assert "3 of 3 images explained" in printed.out
    assert "no --model: EfficientNet-Lite0, trained on ImageNet's 1,000 classes, is explained" in printed.err
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["model"]["spec"] == "photographs"
    assert [row["method"] for row in rows(tmp_path / "out")] == ["grad-cam"] * 3
    assert main(["run", str(images), "--out", str(tmp_path / "out"), "--device", "cpu", "-q"]) == 0
    printed = capsys.readouterr()
    assert "3 were done already" in printed.out
    assert printed.err == ""


def test_options_reach_the_methods(images, tmp_path, net):
    out = tmp_path / "out"
    argv = [str(images), "--model", f"{net}:make", "--size", "40x48", "--mean", "0.5,0.5,0.5", "--std", "0.2,0.2,0.2"]
    argv += ["-m", "grad-cam@0", "-m", "smooth-grad", "--option", "smooth-grad.samples=2", "-m", "cam", "--target", "2"]
    assert (
        main([*argv, "-o", str(out), "--opacity", "0.3", "--cmap", "viridis", "--no-maps", "--contact-sheet", "-q"])
        == 0
    )
    found = rows(out)
    assert {row["method"]: row["layer"] for row in found} == {"grad-cam@0": "0", "smooth-grad": "", "cam": "1"}
    assert {row["target"] for row in found} == {"2"}
    assert (out / "overlays/sub/b.grad-cam-0.png").exists()
    assert (out / "sheet-001.png").exists()
    assert not (out / "maps").exists()
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["preprocessing"]["resize"] == [40, 48]
    assert manifest["options"]["opacity"] == 0.3
    assert manifest["methods"][1]["options"] == {"samples": 2}


def test_rise_tells_its_masks_speed_and_error(images, tmp_path, capsys):
    argv = [
        str(images / "a.png"),
        "--model",
        "embedded",
        "-m",
        "rise",
        "-m",
        "grad-cam",
        "--out",
        str(tmp_path / "out"),
        "--device",
        "cpu",
    ]
    assert main([*argv, "--masks", "300", "--seed", "3", "--precision", "auto", "--top-k", "2", "-q"]) == 0
    found = rows(tmp_path / "out")
    assert len(found) == 2 * 2
    for row in found:
        if row["method"] == "grad-cam":
            assert (row["masks"], row["standard_error"], row["passes_per_second"]) == ("", "", "")
            continue
        assert row["masks"] == "384"  # whole blocks of 128
        assert float(row["passes_per_second"]) > 1
        with np.load(tmp_path / "out" / row["map"]) as saved:
            assert saved["standard_error"].shape == saved["map"].shape == (96, 96)
            assert float(row["standard_error"]) == pytest.approx(float(saved["standard_error"].mean()), rel=1e-3)
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["methods"][0]["options"] == {"masks": 300, "seed": 3, "precision": "auto"}


def test_masks_that_are_made_up_are_said_once_and_one_block_has_no_standard_error(images, tmp_path, capsys):
    argv = [str(images / "a.png"), "--model", "embedded", "-m", "rise", "--device", "cpu"]
    assert main([*argv, "--masks", "200", "--out", str(tmp_path / "two")]) == 0
    told = "note: rise makes 256 masks of the 200 asked for: its design takes whole blocks of 128"
    assert capsys.readouterr().err.count(told) == 1
    assert {row["masks"] for row in rows(tmp_path / "two")} == {"256"}
    assert main([*argv, "--masks", "128", "--out", str(tmp_path / "one")]) == 0
    assert "asked for" not in capsys.readouterr().err
    for row in rows(tmp_path / "one"):
        assert row["standard_error"] == ""
        assert row["reason"] == "no standard error: that takes two blocks of masks to compare"


def test_tolerance_ends_rise_early(images, tmp_path):
    argv = [
        str(images / "a.png"),
        "--model",
        "embedded",
        "-m",
        "rise",
        "--masks",
        "20000",
        "--tolerance",
        "0.2",
        "--device",
        "cpu",
        "-q",
    ]
    assert main([*argv, "--out", str(tmp_path / "out")]) == 0
    assert 4 * 128 <= int(rows(tmp_path / "out")[0]["masks"]) < 20000


def test_a_flag_that_no_method_takes_is_refused(images, tmp_path, capsys):
    assert main([str(images), "-m", "grad-cam", "--masks", "10", "--out", str(tmp_path / "out")]) == 2
    assert "--masks: none of the methods grad-cam has it" in capsys.readouterr().err
    assert main([str(images), "-m", "rise", "--masks", "0", "--out", str(tmp_path / "out")]) == 2
    assert "--masks 0" in capsys.readouterr().err


def test_a_method_that_lacks_a_package_ends_the_run_with_the_command_that_installs_it(
    images, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, "captum", None)
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    assert main([str(images), "-m", "lime", "--out", str(tmp_path / "out")]) == 2
    assert "lime needs captum: pip install 'explainers[captum]'" in capsys.readouterr().err


def test_a_network_of_one_channel(images, tmp_path, net):
    argv = [str(images), "--model", f"{net}:gray", "--size", "32", "--crop", "24", "--gray", "-q"]
    assert main([*argv, "-m", "guided-backprop", "-o", str(tmp_path / "out")]) == 0
    assert read_image(tmp_path / "out/overlays/a.guided-backprop.png").pixels.shape == (40, 64, 3)


def test_failed_images_are_named_and_the_code_is_one(images, tmp_path, capsys):
    (images / "bad.png").write_text("no picture")
    assert main([str(images), "-o", str(tmp_path / "out"), "--json", "-q"]) == 1
    printed = capsys.readouterr()
    assert "explain: failed: bad.png: " in printed.err
    result = json.loads(printed.out)
    assert result["explained"] == 3
    assert result["failed"][0][0] == "bad.png"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["{in}", "--model", "resnet50"], "explain: error: model 'resnet50' is not understood"),
        (["{in}", "-m", "gradcam"], "did you mean grad-cam"),
        (["{in}", "-m", "attention-rollout"], "no vision transformer"),
        (["{in}", "--target", "elephant"], "no class 'elephant'"),
        (["{in}", "--target", "12"], "target 12 is out of range: the network has classes 0 … 9"),
        (["{in}", "--layer", "stage9"], "spatial layers are stage1, stage2, stage4"),
        (["{in}", "--option", "samples=3"], "expected METHOD.KEY=VALUE"),
        (["{in}", "--option", "cam.x=3"], "cam is not among the methods"),
        (["{in}", "--size", "big"], "--size 'big'; expected a number"),
        (["{in}", "--batch-size", "0"], "--batch-size 0"),
        (["{in}", "--opacity", "3"], "--opacity 3"),
        (["{in}", "--cmap", "jett"], "close are jet"),
        (["{in}", "--model", "{net}:make"], "how .*net.py:make takes a photo is not known"),
        (["{in}", "--model", "{net}:make", "--size", "32", "-m", "guided-backprop"], "smooth rectifiers .1 Gelu"),
        (["{tmp}/nowhere"], "no file or folder"),
        (["{in}", "--device", "tpu"], "--device tpu|torch sees"),
    ],
)
def test_mistakes_cost_one_line_and_code_two(images, tmp_path, net, capsys, argv, message):
    places = {"in": str(images), "net": str(net), "tmp": str(tmp_path)}
    argv = [part.format(**places) if "{" in part else part for part in argv]
    argv += [] if "--model" in argv else ["--model", "embedded"]
    assert main([*argv, "-q", "-o", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    import re

    assert re.search(message, printed.err), printed.err
    assert "Traceback" not in printed.err
    assert not list((tmp_path / "out").rglob("*.png")) if (tmp_path / "out").exists() else True


def test_a_sheet_names_what_failed_and_the_command_what_shows_nothing(images, tmp_path, capsys, monkeypatch):
    seen = []

    def noted(rows, **more):
        seen.extend(caption for row in rows for caption, *_ in row)
        return contact_sheet(rows, **more)

    monkeypatch.setattr(figure_files, "contact_sheet", noted)
    (images / "broken.png").write_bytes(b"no picture")
    source = tmp_path / "still.py"
    source.write_text(
        "from torch import nn\n"
        "def make():\n"
        "    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())\n"
        "    nn.init.zeros_(net[0].weight)\n"
        "    return net\n"
    )
    argv = [str(images), "--model", f"{source}:make", "--size", "16x16", "-m", "saliency", "--contact-sheet"]
    assert main([*argv, "--device", "cpu", "--out", str(tmp_path / "out")]) == 1
    assert any(caption.startswith("broken.png\nfailed: ") for caption in seen)
    assert sum(caption.startswith("saliency (constant)\n") for caption in seen) == 3
    told = "note: 3 maps are the same everywhere and show nothing (status constant): saliency of a.png and 2 more\n"
    assert told in capsys.readouterr().err
