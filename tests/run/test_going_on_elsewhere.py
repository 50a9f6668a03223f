"""Going on after images were renamed, moved or changed: tables, sheets and what `explain verify` says of them."""

from __future__ import annotations

import csv
import json
import os
import shutil

import numpy as np
import pytest
from explainers.cli.main import main
from run_case import embedded, folder, rows

import explainers
from explainers.data.images import read_image, write_image
from explainers.run import RunOptions, run
from explainers.run.evaluate import evaluate, figures
from explainers.storage.journal import Journal
from explainers.storage.verify import verify

NET = """
import torch
from torch import nn

def make():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 196, 5), nn.ReLU(), nn.Linear(5, 3))
"""


@pytest.fixture
def call(tmp_path, monkeypatch):
    """`explain run` or `explain evaluate` of a network that costs nothing."""
    (tmp_path / "net.py").write_text(NET)
    monkeypatch.chdir(tmp_path)

    def typed(kind, *more, method="saliency"):
        scored = ["--metric", "sparseness", "--no-figures"] if kind == "evaluate" else []
        given = ["--model", "net.py:make", "--size", "16x16", "-m", method, *scored, *more]
        return [kind, "in", *given, "--out", "out", "--no-report", "-q"]

    return typed


def swap(one, other):
    between = one.with_name("between")
    one.rename(between)
    other.rename(one)
    between.rename(other)


@pytest.mark.parametrize("kind", ["run", "evaluate"])
def test_what_is_stale_is_not_verified_and_what_took_its_place_is(tmp_path, call, kind):
    images, out = folder(tmp_path / "in", ("a.png", "b.png")), tmp_path / "out"
    assert main(call(kind)) == 0
    swap(images / "a.png", images / "b.png")
    assert main(call(kind)) == 0
    found = verify(out)
    assert (found.problems, found.units) == ([], 2 if kind == "run" else 8)
    path = next((out / "maps").glob("*.npz"))
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert [each.partition(" has ")[2] for each in verify(out).problems] == ["another content than was written"]
    assert main(call(kind)) == 0  # which makes it again
    assert verify(out).problems == []
    swap(images / "a.png", images / "b.png")
    assert main(call(kind)) == 0
    assert verify(out).problems == []


@pytest.mark.parametrize("options", [{"contact_sheet": 2}, {"compare": True}, {"scale": "common"}])
def test_a_folder_of_photos_that_was_moved_is_gone_on_with(tmp_path, options):
    images, out = folder(tmp_path / "in"), tmp_path / "out"
    scale = {"scale": options.get("scale", "image")}
    run(images, embedded(), ["saliency"], out, options=RunOptions(**scale))
    before = rows(out)
    images.rename(tmp_path / "moved")
    (tmp_path / "link").symlink_to("moved", target_is_directory=True)
    for where in (tmp_path / "moved", tmp_path / "link"):
        done = run(where, embedded(), ["saliency"], out, options=RunOptions(**{**scale, **options}))
        assert (done.explained, done.resumed, done.failed) == (0, 3, [])
        assert rows(out) == before
    places = {row["source"] for row in Journal(out / "journal.jsonl").rows()}
    assert places == {str((tmp_path / "moved" / name).resolve()) for name in ("a.png", "sub/b.jpg", "sub/c.png")}


@pytest.mark.parametrize("harm", ["removed", "changed", "unreadable"])
def test_photos_that_are_gone_at_the_end_cost_their_pictures_and_nothing_else(tmp_path, harm):
    images, out = folder(tmp_path / "in"), tmp_path / "out"

    def meddle(done, total, name):
        if done == total and harm == "removed":
            (images / "a.png").unlink()
        elif done == total:
            (images / "a.png").write_bytes(b"x" if harm == "unreadable" else (images / "sub/c.png").read_bytes())

    options = RunOptions(scale="common", contact_sheet=3, compare=True)
    run(images, embedded(), ["saliency"], out, options=options, progress=meddle)
    one, *others = rows(out)
    why = {"removed": "no file", "changed": "has changed since", "unreadable": "has changed since"}[harm]
    assert (one["status"], one["overlay"]) == ("ok", "")
    assert why in one["reason"]
    assert all((out / row["overlay"]).is_file() and row["reason"] == "" for row in others)
    assert read_image(out / "sheet-001.png").pixels.std() > 0
    assert json.loads((out / "manifest.json").read_text())["status"] == "done"
    assert verify(out).problems == []


@pytest.mark.parametrize("harm", ["removed", "changed"])
def test_photos_that_are_gone_at_the_end_of_an_evaluation_cost_their_pictures(tmp_path, monkeypatch, harm):
    images, out = folder(tmp_path / "in", ("a.png", "b.png")), tmp_path / "out"
    captions = []

    def meddle(done, total, name):
        if done == total and harm == "removed":
            (images / "a.png").unlink()
        elif done == total:
            (images / "a.png").write_bytes((images / "b.png").read_bytes())

    def drawn(path, lines, **_):
        captions.extend(cell[0] for line in lines for cell in line)
        return path.name

    monkeypatch.setattr(figures, "written_sheet", drawn)
    monkeypatch.setattr(evaluate, "write_figures", lambda *_: [])
    monkeypatch.setattr(evaluate, "write_manifest", lambda *_: None)  # which hashes the sheet
    explainers.evaluate(embedded(), images, ["saliency"], ["sparseness"], out=out, progress=meddle)
    why = "no file" if harm == "removed" else "has changed since it was scored"
    assert [("a.png" in each, why in each) for each in captions if ".png" in each] in (
        [(True, True), (False, False)],
        [(False, False), (True, True)],
    )


def test_only_what_is_in_a_file_counts(tmp_path):
    images, out = folder(tmp_path / "in", ("a.png", "b.png")), tmp_path / "out"
    run(images, embedded(), ["saliency"], out)
    for time in (0, 4_000_000_000):  # clocks that go back and ahead
        os.utime(images / "a.png", (time, time))
        assert run(images, embedded(), ["saliency"], out).resumed == 2
    state = (images / "a.png").stat()
    write_image(images / "a.png", np.zeros((40, 64, 3), np.uint8))
    data = (images / "a.png").read_bytes()
    (images / "a.png").write_bytes(data + bytes(state.st_size - len(data)))
    os.utime(images / "a.png", ns=(state.st_atime_ns, state.st_mtime_ns))
    assert run(images, embedded(), ["saliency"], out).explained == 1
    (images / "a.png").rename(images / "A.png")
    assert [row["file"] for row in rows_after(images, out)] == ["A.png", "b.png"]
    (images / "b.png").unlink()
    (images / "A.png").rename(images / "b.png")
    assert [row["file"] for row in rows_after(images, out)] == ["b.png"]
    shutil.copytree(out, tmp_path / "copy")
    assert run(images, embedded(), ["saliency"], tmp_path / "copy").resumed == 1


def rows_after(images, out):
    run(images, embedded(), ["saliency"], out)
    return rows(out)


@pytest.mark.parametrize("kind", ["run", "evaluate"])
def test_where_a_network_lies_and_what_is_left_out_makes_no_other_run(tmp_path, call, capsys, kind):
    folder(tmp_path / "in", ("a.png",))
    more = ("--max-pixels", "5000") if kind == "run" else ()
    assert main(call(kind)) == 0
    journal = (tmp_path / "out/journal.jsonl").read_bytes()
    other = [f"{tmp_path}/net.py:make" if each == "net.py:make" else each for each in call(kind)]
    assert main([*other, "--skip-unsupported", *more]) == 0
    assert (tmp_path / "out/journal.jsonl").read_bytes() == journal
    (tmp_path / "other.py").write_text(NET)
    assert main([each.replace("net.py", "other.py") for each in call(kind)]) == 2
    assert "model.spec ('net.py:make' there, 'other.py:make' now)" in capsys.readouterr().err


def test_a_method_that_was_left_out_stays_named_when_the_run_goes_on(tmp_path, call, capsys):
    folder(tmp_path / "in", ("a.png",))
    out, asked = tmp_path / "out", call("run", "--skip-unsupported", method="cam")
    assert main(asked) == 2  # there is none else
    assert list(Journal(out / "journal.jsonl").entries()) == []
    for _ in range(2):
        assert main([*asked, "-m", "saliency"]) == 0
        assert list(json.loads((out / "manifest.json").read_text())["refused"]) == ["cam"]


def test_other_digits_take_the_place_of_those_before(tmp_path, capsys):
    call = ["--metric", "sparseness", "-m", "saliency", "--no-figures", "--no-report", "-q", "--out", str(tmp_path)]
    for count in (2, 1, 2):
        assert main(["evaluate", f"digits:{count}", *call]) == 0
        assert len(list((tmp_path / "digits/images").iterdir())) == count
        with (tmp_path / "scores.csv").open() as file:
            assert len({row["image"] for row in csv.DictReader(file)}) == count
    shutil.rmtree(tmp_path / "digits")
    folder(tmp_path / "digits", ("mine.png",))
    assert main(["evaluate", "digits:2", *call]) == 2
    assert "digits is there already, and no command made it" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "digits").iterdir()] == ["mine.png"]


@pytest.mark.parametrize("count", ["0", "x", "-1", "²", ""])
@pytest.mark.parametrize("typed", [["evaluate"], ["drift", "a.pt", "b.pt", "--data"]])
def test_a_number_of_digits_is_one(typed, count, capsys):
    assert main([*typed, f"digits:{count}"]) == 2
    assert "expected digits:N with N images of at least 1" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["run", "evaluate"])
@pytest.mark.parametrize(
    "typed",
    [
        ["--target", "like:nosuch.jpg"],
        ["--where", "mask:nosuch"],
        ["--target", "nosuch.py:f"],
        ["--output", "nosuch.py:f"],
    ],
)
def test_files_that_are_not_there_are_named_before_a_network_is_loaded(tmp_path, capsys, kind, typed):
    images = folder(tmp_path / "in", ("a.png",))
    assert main([kind, str(images), "--model", "nonet.py:make", *typed, "-q"]) == 2
    told = capsys.readouterr().err
    assert "nosuch" in told
    assert "nonet" not in told


@pytest.mark.parametrize(
    ("kind", "name"), [("run", "results.csv"), ("run", "sheet-001.png"), ("evaluate", "scores.csv")]
)
def test_files_of_the_users_that_are_called_as_ours_are_left_as_they_are(tmp_path, call, capsys, kind, name):
    folder(tmp_path / "in", ("a.png",))
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_bytes(b"mine")
    for more in ([], ["--overwrite"]):
        assert main(call(kind, *more)) == 2
        assert f"{name} is there already" in capsys.readouterr().err
    (out / name).rename(out / "sheet-mine.png")
    (out / "sheet-mine.png").rename(out / "figure-mine.png")
    (out / "sheet-mine.png").write_bytes(b"mine")
    assert main(call(kind)) == 0
    assert main(call(kind, "--overwrite")) == 0
    assert (out / "sheet-mine.png").read_bytes() == (out / "figure-mine.png").read_bytes() == b"mine"


def test_an_evaluation_of_methods_that_are_all_refused_says_so(tmp_path, call, capsys):
    folder(tmp_path / "in", ("a.png",))
    assert main(call("evaluate", "--skip-unsupported", method="cam")) == 2
    assert "no method works on this network:\n  cam: cam cannot be right" in capsys.readouterr().err
