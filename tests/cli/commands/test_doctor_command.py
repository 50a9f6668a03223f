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
