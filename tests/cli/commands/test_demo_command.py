"""`explain demo`: photographs with the network for photographs, digits with the network for digits."""

from __future__ import annotations

import json

from explainers.cli.main import main
from run_case import rows


def test_demo_explains_photographs_and_digits_each_with_its_network(tmp_path, capsys):
    out = tmp_path / "demo"
    assert main(["demo", "--out", str(out), "-m", "cam", "-m", "saliency", "--device", "cpu"]) == 0
    printed = capsys.readouterr()
    assert "4 of 4 images explained" in printed.out
    assert "24 of 24 images explained" in printed.out
    assert "photographs: EfficientNet-Lite0" in printed.err
    assert "digits: the embedded digit classifier" in printed.err
    predicted = {row["file"]: row["predicted_name"] for row in rows(out / "photographs")}
    assert predicted["camera.jpg"] == "tripod"
    assert predicted["chelsea.jpg"] in ("tiger cat", "Egyptian cat")  # 0.36 and 0.38
    assert predicted["coffee.jpg"] == "espresso"
    assert predicted.keys() == {"camera.jpg", "chelsea.jpg", "coffee.jpg", "rocket.jpg"}
    assert len(rows(out / "digits")) == 48
    assert (out / "photographs/sheet-001.png").exists()
    assert (out / "digits/sheet-002.png").exists()


def test_demo_tells_both_folders_in_one_json(tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path), "-m", "cam", "--device", "cpu", "--json", "-q"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {name: part["explained"] for name, part in told.items()} == {"photographs": 4, "digits": 24}


def test_demo_goes_on_where_it_stopped_and_begins_anew_when_asked(tmp_path, capsys):
    argv = ["demo", "--out", str(tmp_path), "--device", "cpu", "-q", "-m"]
    assert main([*argv, "cam"]) == 0
    (tmp_path / "digits/maps").joinpath(sorted(each.name for each in (tmp_path / "digits/maps").iterdir())[0]).unlink()
    capsys.readouterr()
    assert main([*argv, "cam"]) == 0
    told = capsys.readouterr().out
    assert "0 of 4 images explained" in told
    assert ", 4 were done already" in told
    assert "1 of 24 images explained" in told
    assert ", 23 were done already" in told
    assert main([*argv, "grad-cam"]) == 2
    assert "start anew with --overwrite" in capsys.readouterr().err
    assert {row["method"] for row in rows(tmp_path / "photographs")} == {"cam"}
    assert main([*argv, "grad-cam", "--overwrite"]) == 0
    assert {row["method"] for row in rows(tmp_path / "photographs")} == {"grad-cam"}
