"""`explain demo`."""

from __future__ import annotations

from explainers.cli.main import main
from run_case import rows


def test_demo_explains_the_samples(tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path / "demo"), "-m", "cam", "-m", "saliency", "-q"]) == 0
    assert "24 of 24 images explained" in capsys.readouterr().out
    assert len(rows(tmp_path / "demo")) == 48
    assert (tmp_path / "demo/sheet-002.png").exists()
