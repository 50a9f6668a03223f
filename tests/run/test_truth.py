"""Tables say what is true of the folder now, and nothing is reported as done that is not."""

from __future__ import annotations

import csv
import json
import os
import shutil
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import torch
from explainers.cli.main import main
from run_case import embedded, folder, rows

import explainers
from explainers.data.images import ImageFile, find_images, write_image
from explainers.errors import MapError, OptionError, OutputError, WriteError
from explainers.run import RunOptions, run
from explainers.run.explain.names import bases
from explainers.storage.journal import Journal
from explainers.storage.run_folder import near

NETWORK = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)

    def forward(self, x):
        y = self.conv(x).ACTIVATION()
        return self.fc(y.mean((2, 3)))

def make():
    torch.manual_seed(0)
    return Net()

def box():
    net = make().eval()
    return lambda x: net(x).detach()
"""


def command(kind, images, out, *more):
    method = ["-m", "occlusion", "--option", "occlusion.window=48", "--option", "occlusion.stride=48"]
    metric = ["--metric", "sparseness", "--no-figures"] if kind == "evaluate" else []
    model = [] if "--model" in more else ["--model", "embedded"]
    return [kind, str(images), *model, *method, *metric, "--out", str(out), "-q", *more]


@pytest.mark.parametrize("kind", ["run", "evaluate"])
@pytest.mark.parametrize("factory", ["make", "box"])
def test_changed_code_of_a_network_is_another_run(tmp_path, capsys, kind, factory):
    images, net = folder(tmp_path / "in"), tmp_path / "net.py"
    model = ["--model", f"{net}:{factory}", "--size", "96x96", "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25"]
    net.write_text(NETWORK.replace("ACTIVATION", "relu"))
    assert main(command(kind, images, tmp_path / "out", *model)) == 0
    table = next((tmp_path / "out").glob("*s.csv")).read_bytes()
    assert main(command(kind, images, tmp_path / "out", *model)) == 0
    net.write_text(NETWORK.replace("ACTIVATION", "abs"))
    assert main(command(kind, images, tmp_path / "out", *model)) == 2
    said = {"make": "probe.scores.log_norm", "box": "model.sha256"}  # a black box is known by its file
    assert f"holds a run that differs in {said[factory]}" in capsys.readouterr().err
    assert next((tmp_path / "out").glob("*s.csv")).read_bytes() == table


def test_a_gradient_of_other_code_is_another_run(tmp_path):
    class Detached(torch.nn.Module):
        def __init__(self, inner, cut):
            super().__init__()
            self.inner, self.cut = inner, cut

        def forward(self, x):
            return self.inner(0.5 * x + 0.5 * (x.detach() if self.cut else x))

    loaded, images = embedded(), folder(tmp_path / "in", ("a.png",))
    run(images, replace(loaded, network=Detached(loaded.network, False)), ["saliency"], tmp_path / "out")
    with pytest.raises(OptionError, match=r"probe\.gradient\.log_norm"):
        run(images, replace(loaded, network=Detached(loaded.network, True)), ["saliency"], tmp_path / "out")


def test_a_probe_is_equal_up_to_its_last_digits_and_no_further():
    assert near({"a": [1.0, "x"], "b": None}, {"a": [1.0004, "x"], "b": None})
    assert not near({"a": [1.0]}, {"a": [1.002]})
    assert not near({"a": [1.0]}, {"a": [1.0, 1.0]})


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
    assert dict(json.loads((out / "manifest.json").read_text())["dropped"]) == why


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
    table = next(out.glob("*s.csv"))

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


def test_a_folder_that_disappears_ends_the_run(tmp_path):
    images, out = folder(tmp_path / "in"), tmp_path / "out"
    with pytest.raises(WriteError, match=r"no longer the file that this run was writing"):
        run(
            images,
            embedded(),
            ["cam"],
            out,
            batch_size=1,
            progress=lambda done, total, name: shutil.rmtree(out) if done == 1 else None,
        )
    with pytest.raises(WriteError, match=r"has been removed meanwhile"):
        run(
            images,
            embedded(),
            ["cam"],
            tmp_path / "b",
            batch_size=1,
            progress=lambda done, total, name: shutil.rmtree(tmp_path / "b/maps") if done == 2 else None,
        )


def test_an_evaluation_whose_folder_disappears_ends(tmp_path):
    out = tmp_path / "out"

    def progress(done, total, name):
        if done == 2:
            shutil.rmtree(out)

    with pytest.raises(WriteError, match="no longer the file"):
        explainers.evaluate(
            embedded(), folder(tmp_path / "in"), ["cam"], ["sparseness"], out=out, batch_size=1, progress=progress
        )


def test_a_run_does_not_explain_its_own_pictures(tmp_path, monkeypatch, capsys):
    images = folder(tmp_path / "in", ("a.png", "maps/b.png"))
    monkeypatch.chdir(images)
    call = [".", "-m", "cam", "--contact-sheet", "2", "-q"]
    for _ in range(2):
        assert main(call) == 0
        assert [row["file"] for row in rows(images / "explained")] == ["a.png", "maps/b.png"]
    assert main([*call, "--out", "other"]) == 0
    assert [row["file"] for row in rows(images / "other")] == ["a.png", "maps/b.png"]
    assert main(["evaluate", "digits:2", "-m", "cam", "--metric", "sparseness", "-q"]) == 0
    for _ in range(2):
        assert main(["evaluate", ".", "-m", "cam", "--metric", "sparseness", "-q", "--out", "scored"]) == 0
    assert [file.name for file in find_images(".")] == ["a.png", "maps/b.png"]
    assert len(find_images("explained/overlays")) == 2


@pytest.mark.parametrize("first", ["run", "evaluate"])
def test_a_folder_of_another_command_is_refused_and_left_as_it_is(tmp_path, capsys, first):
    images, out = folder(tmp_path / "in", ("a.png",)), tmp_path / "out"
    second = {"run": "evaluate", "evaluate": "run"}[first]
    assert main(command(first, images, out)) == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for more in ([], ["--overwrite"]):
        assert main(command(second, images, out, *more)) == 2
        assert f"holds the results of `explain {first}`" in capsys.readouterr().err
        assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("kind", ["run", "evaluate"])
@pytest.mark.parametrize("name", ["manifest.json", "journal.jsonl"])
def test_a_file_of_nobodys_is_left_as_it_is(tmp_path, capsys, kind, name):
    images, out = folder(tmp_path / "in", ("a.png",)), tmp_path / "out"
    out.mkdir()
    (out / name).write_text('{"name": "mine"}\n')
    for more in ([], ["--overwrite"]):
        assert main(command(kind, images, out, *more)) == 2
        assert "does not say which command wrote it" in capsys.readouterr().err
    assert (out / name).read_text() == '{"name": "mine"}\n'


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


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("a.jpg", "b.png"), ("a", "b")),
        (("a.jpg", "a.png"), ("a.jpg", "a.png")),
        (("a.jpg", "a.png", "a.jpg.png"), ("a.jpg", "a.png", "a.jpg.png")),
        (("a.jpg", "a.jpg.png"), ("a", "a.jpg.png")),
        (("a.jpg", "A.png"), ("a.jpg", "A.png")),
        (("é.jpg", "e\u0301.png"), ("é.jpg", "e\u0301.png")),
    ],
)
def test_no_two_images_share_an_output_name(tmp_path, names, expected):
    assert tuple(bases([ImageFile(tmp_path / name, name) for name in names]).values()) == expected


def test_names_of_an_earlier_start_are_kept_and_not_given_to_others(tmp_path):
    files = [ImageFile(tmp_path / name, name) for name in ("a.jpg", "a.jpg.png", "a.png")]
    found = bases(files, {"a.jpg.png": "a.jpg"})
    assert found["a.jpg.png"] == "a.jpg"
    assert len({each.casefold() for each in found.values()}) == 3
    with pytest.raises(OptionError, match=r"two images are called 'a\.jpg'"):
        bases([files[0], files[0]])
    both = bases([ImageFile(tmp_path, "A.png"), ImageFile(tmp_path, "a.png")])
    assert len({each.casefold() for each in both.values()}) == 2


def test_images_that_come_later_take_no_map_of_those_that_were_there(tmp_path):
    images, out = folder(tmp_path / "in", ("a.jpg.png",)), tmp_path / "out"
    run(images, embedded(), ["cam"], out)
    folder(images, ("a.jpg", "a.png"))
    assert run(images, embedded(), ["cam"], out).resumed == 1
    assert len({row["map"] for row in rows(out)}) == 3
    assert run(images, embedded(), ["cam"], out, options=RunOptions()).resumed == 3


def test_each_image_finds_its_own_map_again(tmp_path):
    images = folder(tmp_path / "in", ("a.jpg", "a.png", "a.jpg.png"))
    run(images, embedded(), ["cam"], tmp_path / "out")
    maps = tmp_path / "out/maps"
    result = explainers.evaluate(embedded(), images, {"stored": (maps, ".cam"), "cam": "cam"}, ["sparseness"])
    values = result.values("sparseness")
    assert values["stored"] == pytest.approx(values["cam"])


def test_leaving_the_program_inside_a_network_is_an_error(tmp_path, capsys):
    net = tmp_path / "net.py"
    net.write_text("import sys\ndef make():\n    return lambda x: sys.exit(0)\n")
    images = folder(tmp_path / "in")
    for kind in ("run", "evaluate"):
        assert main(command(kind, images, tmp_path / kind, "--model", f"{net}:make", "--size", "96x96")) == 2
        assert "called sys.exit(0)" in capsys.readouterr().err


ERRORS = [RuntimeError("bad"), KeyError("bad"), AssertionError("bad"), TypeError("bad"), torch.OutOfMemoryError("bad")]


@pytest.mark.parametrize("kind", ["run", "evaluate"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_what_a_network_raises_on_an_image_costs_that_image(tmp_path, kind, error):
    loaded, images = embedded(), folder(tmp_path / "in")
    write_image(images / "bright.png", np.full((40, 40, 3), 255, np.uint8))

    class Picky(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = loaded.network

        def forward(self, x):
            if bool((x.flatten(1).min(1).values > 1.9).any()):
                raise error
            return self.inner(x)

    picky = replace(loaded, network=Picky())
    if kind == "run":
        summary = run(images, picky, ["grad-cam"], tmp_path / "out")
        assert ([name for name, _ in summary.failed], summary.explained) == (["bright.png"], 3)
    else:
        result = explainers.evaluate(picky, images, ["grad-cam"], ["sparseness"])
        failed = {row["image"] for row in result.rows if row["status"] != "ok"}
        assert failed == {"bright.png"}
        assert len(result.values("sparseness")["grad-cam"]) == 3


@pytest.mark.parametrize("kind", ["run", "evaluate"])
def test_memory_that_does_for_two_images_does_for_a_batch(tmp_path, kind):
    loaded, images = embedded(), folder(tmp_path / "in", tuple(f"{number}.png" for number in range(5)))

    class Hungry(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = loaded.network

        def forward(self, x):
            if len(x) > 2 and torch.is_grad_enabled():
                raise torch.OutOfMemoryError("out of memory")
            return self.inner(x)

    hungry = replace(loaded, network=Hungry())
    if kind == "run":
        assert run(images, hungry, ["grad-cam"], tmp_path / "out").explained == 5
    else:
        result = explainers.evaluate(hungry, images, ["grad-cam"], ["sparseness"])
        assert len(result.values("sparseness")["grad-cam"]) == 5


@pytest.mark.parametrize("kind", ["run", "evaluate"])
def test_what_a_network_raises_on_every_image_is_one_error(tmp_path, kind):
    def broken(x):
        raise KeyError("positions")

    loaded, images = replace(embedded(), network=broken), folder(tmp_path / "in")

    def go():
        if kind == "run":
            return run(images, loaded, ["rise"], tmp_path / "out")
        return explainers.evaluate(loaded, images, ["rise"], ["sparseness"])

    with pytest.raises(OutputError, match=r"fails on every image \(3\): KeyError: 'positions'"):
        go()


def test_a_full_disk_ends_the_run_with_one_error(tmp_path, monkeypatch, capsys):
    real = os.replace

    def full(source, target):
        if str(target).endswith(".npz"):
            raise OSError(28, "No space left on device")
        return real(source, target)

    monkeypatch.setattr(os, "replace", full)
    assert main(command("run", folder(tmp_path / "in"), tmp_path / "out")) == 2
    printed = capsys.readouterr().err
    assert printed.count("No space left on device") == 1
    assert "Traceback" not in printed


def test_a_line_that_finds_no_room_leaves_the_journal_as_it_was(tmp_path, monkeypatch):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.start({"command": "run", "facts": {}})
    before = journal.path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match="No space left"):
        journal.append("a", [{"status": "ok"}], {})
    assert journal.path.read_bytes() == before


@pytest.mark.parametrize("kind", ["map", "mask"])
def test_a_file_that_could_be_of_two_images_is_refused(tmp_path, kind):
    images, beside = folder(tmp_path / "in", ("a.jpg", "a.png")), tmp_path / "beside"
    beside.mkdir()
    np.save(beside / "a.npy", np.ones((96, 96)))
    call = {"explainers": {"stored": beside}} if kind == "map" else {"explainers": ["cam"], "masks": beside}
    with pytest.raises(MapError, match=rf"a\.npy could be the {kind} of a\.jpg and of a\.png"):
        explainers.evaluate(embedded(), images, metrics=["sparseness"], **call)


def test_a_folder_of_the_users_that_is_called_as_ours_is_left_as_it_is(tmp_path):
    images, out = folder(tmp_path / "in", ("a.png",)), tmp_path / "out"
    folder(out, ("maps/mine.png",))
    for overwrite in (False, True):
        with pytest.raises(OptionError, match=r"maps is there already"):
            run(images, embedded(), ["cam"], out, overwrite=overwrite)
    assert [path.name for path in (out / "maps").iterdir()] == ["mine.png"]


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
    images, ill = folder(tmp_path / "in"), [True]

    def explainer(batch, targets):
        if ill[0]:
            raise RuntimeError("not now")
        return batch.mean(1)

    def go(out):
        call = {"mine": explainer, "cam": "cam"}
        return explainers.evaluate(embedded(), images, call, ["sparseness"], out=out, figures=False)

    assert {row["status"] for row in go(tmp_path / "out").rows if row["explainer"] == "mine"} == {"failed"}
    ill[0] = False
    assert {row["status"] for row in go(tmp_path / "out").rows} == {"ok"}
