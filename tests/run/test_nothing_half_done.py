"""Tables say what is true of the folder now, and nothing is reported as done that is not."""

from __future__ import annotations

import csv
import json
import os
from contextlib import suppress

import numpy as np
import pytest
from explainers.cli.main import main
from run_case import command, embedded, folder, rows

import explainers
from explainers.data.images import write_image
from explainers.run import run
from explainers.run.report.folder import ReadFolder


def test_the_table_holds_the_images_that_there_are(tmp_path):
    images, out, loaded = folder(tmp_path / "in", ("a.png", "b.png", "c.png", "d.png")), tmp_path / "out", embedded()
    (images / "b.png").write_bytes(b"no image")
    assert [name for name, _ in run(images, loaded, ["cam"], out).failed] == ["b.png"]
    pixels = np.full((50, 60, 3), 90, np.uint8)
    write_image(images / "a.png", pixels)  # changed
    write_image(images / "b.png", pixels)  # mended
    (images / "c.png").unlink()  # removed
    (images / "d.png").rename(images / "e.png")  # renamed
    summary = run(images, loaded, ["cam"], out)
    assert [(row["file"], row["status"]) for row in rows(out)] == [(name, "ok") for name in ("a.png", "b.png", "e.png")]
    why = {"a.png": "changed since", "b.png": "changed since", "c.png": "no longer there", "d.png": "no longer there"}
    assert dict(summary.dropped) == why
    manifest = json.loads((out / "manifest.json").read_text())
    assert dict(manifest["dropped"]) == why
    assert len(manifest["stale"]) == 4
    shown = [(rows[0]["file"], rows[0]["status"]) for _, rows in ReadFolder(out).units()]
    assert sorted(shown) == [("a.png", "ok"), ("b.png", "ok"), ("e.png", "ok")]  # in reports and exports too


@pytest.mark.parametrize("kind", ["maps/a.cam.npz", "overlays/a.cam.png"])
@pytest.mark.parametrize("harm", ["empty", "cut", "changed", "removed"])
def test_a_file_that_is_not_as_it_was_written_is_made_again(tmp_path, capsys, kind, harm):
    images, out = folder(tmp_path / "in"), tmp_path / "out"
    run(images, embedded(), ["cam"], out)
    assert main(["verify", str(out)]) == 0
    path = out / kind
    before = path.read_bytes()
    if harm == "removed":
        path.unlink()
    else:
        harmed = {"empty": b"", "cut": before[:100], "changed": before[:-1] + bytes([before[-1] ^ 1])}
        path.write_bytes(harmed[harm])
    assert main(["verify", str(out)]) == 1
    assert kind in capsys.readouterr().out
    again = run(images, embedded(), ["cam"], out)
    assert (again.explained, again.resumed) == (1, 2)
    if kind.startswith("overlays"):
        assert path.read_bytes() == before
    assert main(["verify", str(out)]) == 0


@pytest.mark.parametrize("kind", ["run", "evaluate"])
@pytest.mark.parametrize("seed", range(3))
def test_damaged_lines_of_a_journal_change_no_table(tmp_path, kind, seed):
    images, out = folder(tmp_path / "in"), tmp_path / "out"
    assert main(command(kind, images, out, "--batch-size", "1")) == 0
    table = out / {"run": "results.csv", "evaluate": "scores.csv"}[kind]

    def content():
        return list(csv.reader(table.read_text().splitlines()))

    timed = content()[0].index("seconds")
    before = [[value for place, value in enumerate(line) if place != timed] for line in content()]
    data = bytearray((out / "journal.jsonl").read_bytes())
    rng = np.random.default_rng(seed)
    for place in rng.integers(data.index(b"\n") + 1, len(data), 3):
        data[place] = int(rng.integers(256))
    (out / "journal.jsonl").write_bytes(bytes(data))
    assert main(command(kind, images, out, "--batch-size", "1")) == 0
    assert [[value for place, value in enumerate(line) if place != timed] for line in content()] == before


@pytest.mark.parametrize("stopped", [None, 1, 2])
def test_after_a_loss_of_power_nothing_is_reported_as_done_that_is_not(tmp_path, monkeypatch, stopped):
    """What the disk was not asked to keep is cut at random: ends of files, and names in folders."""
    images, out = folder(tmp_path / "in"), tmp_path / "out"
    real, kept, random = os.fsync, {}, np.random.default_rng(0)

    def noting(handle):
        real(handle)
        state = os.fstat(handle)
        kept[state.st_ino] = set(os.listdir(handle)) if os.path.isdir(f"/proc/self/fd/{handle}") else state.st_size

    def stop(done, total, name):
        if done == stopped:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", noting)
    with suppress(KeyboardInterrupt):
        run(images, embedded(), ["cam"], out, batch_size=1, progress=stop)
    monkeypatch.setattr(os, "fsync", real)
    for path in [path for path in out.rglob("*") if path.is_file()]:
        above = [path, *path.relative_to(tmp_path).parents][:-2]
        if any(each.name not in kept.get((tmp_path / each).parent.stat().st_ino, ()) for each in above):
            path.unlink()
        elif (size := path.stat().st_size) > (least := kept.get(path.stat().st_ino, 0)):
            os.truncate(path, random.integers(least, size))
    lines = len((out / "journal.jsonl").read_bytes().splitlines()) - 1
    assert lines == (stopped or 3)
    if stopped is None:
        assert main(["verify", str(out)]) == 0
    assert run(images, embedded(), ["cam"], out).resumed == lines


def test_what_a_killed_run_was_writing_is_removed(tmp_path):
    images, out = folder(tmp_path / "in"), tmp_path / "out"
    run(images, embedded(), ["cam"], out)
    torn = [out / "maps/sub/.b.cam.npz.123.tmp", out / ".results.csv.123.tmp", out / "overlays/.a.cam.png.99.tmp"]
    for path in torn:
        path.write_bytes(b"half")
    mine = out / ".notes.123.tmp"
    mine.write_bytes(b"mine")
    run(images, embedded(), ["cam"], out)
    assert not any(path.exists() for path in torn)
    assert mine.exists()


def test_a_finished_evaluation_is_verified(tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["verify", str(tmp_path)]) == 2
    assert (
        main(["evaluate", str(folder(tmp_path / "in")), "-m", "cam", "--metric", "sparseness", "-o", str(out), "-q"])
        == 0
    )
    assert main(["verify", str(out)]) == 0
    (out / "figure-values.png").write_bytes(b"")
    with (out / "scores.csv").open("a") as file:
        file.write("more")
    capsys.readouterr()
    assert main(["verify", str(out), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [problem.split()[0] for problem in found["problems"]] == ["scores.csv", "figure-values.png"]


def test_an_image_that_failed_for_a_while_is_scored_by_the_same_evaluation_again(tmp_path):
    images, ill = folder(tmp_path / "in"), tmp_path / "ill"
    ill.touch()

    def explainer(batch, targets):
        if ill.exists():
            raise RuntimeError("not now")
        return batch.mean(1)

    def go(out):
        call = {"mine": explainer, "cam": "cam"}
        return explainers.evaluate(embedded(), images, call, ["sparseness"], out=out, figures=False)

    assert {row["status"] for row in go(tmp_path / "out").rows if row["explainer"] == "mine"} == {"failed"}
    ill.unlink()
    assert {row["status"] for row in go(tmp_path / "out").rows} == {"ok"}
