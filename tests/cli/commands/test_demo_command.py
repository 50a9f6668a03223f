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
