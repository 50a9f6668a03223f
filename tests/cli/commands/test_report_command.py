"""`explain report`, and the report at the end of other commands."""

from __future__ import annotations

import json
import webbrowser

import pytest
from explainers.cli.main import main
from report_case import digits
from run_case import command as unreported


def command(*given):
    """The command of other tests, with its report."""
    return [word for word in unreported(*given) if word != "--no-report"]


@pytest.fixture
def images(tmp_path):
    return digits(tmp_path / "in", 2)


@pytest.mark.parametrize("kind", ["run", "evaluate"])
def test_a_report_is_made_at_the_end(tmp_path, images, capsys, kind):
    out = tmp_path / "out"
    assert main(command(kind, images, out)) == 0
    assert f"report    {out / 'report' / 'index.html'}" in capsys.readouterr().out.splitlines()
    assert (out / "report" / "index.html").exists()
    assert main(["verify", str(out)]) == 0


def test_none_is_made_where_it_is_not_wanted(tmp_path, images, capsys):
    out = tmp_path / "out"
    assert main(unreported("run", images, out)) == 0
    assert not (out / "report").exists()
    assert main(["report", str(out), "--json", "-q"]) == 0
    assert json.loads(capsys.readouterr().out.split("table ")[1].split("\n", 1)[1]) == {
        "report": str(out / "report" / "index.html")
    }


def test_one_file_somewhere_else(tmp_path, images, capsys):
    out, to = tmp_path / "out", tmp_path / "sent.html"
    assert main(unreported("run", images, out)) == 0
    assert main(["report", str(out), "--single-file", "--out", str(to), "-q"]) == 0
    assert "data:image/jpeg;base64," in to.read_text()
    assert not (out / "report").exists()


def test_it_is_opened_where_that_is_asked_for(tmp_path, images, monkeypatch):
    seen = []
    monkeypatch.setattr(webbrowser, "open", lambda address: seen.append(address) or True)
    assert main(command("run", images, tmp_path / "out", "--open")) == 0
    assert seen == [(tmp_path / "out" / "report" / "index.html").resolve().as_uri()]


def test_overwriting_removes_the_report_and_makes_it_anew(tmp_path, images):
    out = tmp_path / "out"
    assert main(command("run", images, out)) == 0
    assert main(unreported("run", images, out, "--overwrite")) == 0
    assert not (out / "report").exists()


def test_a_folder_of_something_else(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 2
    assert "holds nothing of explain run, evaluate, drift or train" in capsys.readouterr().err
