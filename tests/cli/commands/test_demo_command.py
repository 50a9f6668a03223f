"""`explain demo`: photographs with the network for photographs, digits with the network for digits."""

from __future__ import annotations

import json
import shutil

import pytest
from explainers.cli.main import main
from run_case import rows


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A folder of the demo, which each test takes a copy of."""
    out = tmp_path_factory.mktemp("demo")
    assert main(["demo", "--out", str(out), "-m", "cam", "--device", "cpu", "--quiet"]) == 0
    return out


@pytest.fixture
def copied(begun, tmp_path):
    return shutil.copytree(begun, tmp_path / "demo")


def test_demo_explains_photographs_and_digits_each_with_its_network(copied, capsys):
    assert main(["demo", "--out", str(copied), "-m", "cam", "--device", "cpu"]) == 0
    printed = capsys.readouterr()
    assert "0 of 4 images explained" in printed.out
    assert "photographs: EfficientNet-Lite0" in printed.err
    assert "digits: the embedded digit classifier" in printed.err
    predicted = {row["file"]: row["predicted_name"] for row in rows(copied / "photographs")}
    assert predicted["camera.jpg"] == "tripod"
    assert predicted["chelsea.jpg"] in ("tiger cat", "Egyptian cat")  # 0.36 and 0.38
    assert predicted["coffee.jpg"] == "espresso"
    assert predicted.keys() == {"camera.jpg", "chelsea.jpg", "coffee.jpg", "rocket.jpg"}
    assert len(rows(copied / "digits")) == 24
    assert (copied / "photographs/sheet-001.png").exists()
    assert (copied / "digits/sheet-001.png").exists()


def test_demo_tells_both_folders_in_one_json(copied, capsys):
    """Of a start that has to make one image of each anew."""
    for name in ("photographs", "digits"):
        min((copied / name / "maps").iterdir()).unlink()
    assert main(["demo", "--out", str(copied), "-m", "cam", "--device", "cpu", "--json", "-q"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {name: part["explained"] for name, part in told.items()} == {"photographs": 1, "digits": 1}


def test_demo_goes_on_where_it_stopped_and_begins_anew_when_asked(copied, capsys):
    argv = ["demo", "--out", str(copied), "--device", "cpu", "-q", "-m"]
    min((copied / "digits/maps").iterdir()).unlink()
    assert main([*argv, "cam"]) == 0
    told = capsys.readouterr().out
    assert "0 of 4 images explained" in told
    assert ", 4 were done already" in told
    assert "1 of 24 images explained" in told
    assert ", 23 were done already" in told
    assert main([*argv, "saliency"]) == 2
    assert "start anew with --overwrite" in capsys.readouterr().err
    assert {row["method"] for row in rows(copied / "photographs")} == {"cam"}
    assert main([*argv, "saliency", "--overwrite"]) == 0
    told = capsys.readouterr().out
    assert "4 of 4 images explained" in told
    assert "24 of 24 images explained" in told
    assert {row["method"] for row in rows(copied / "photographs")} == {"saliency"}
