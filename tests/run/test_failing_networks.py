"""What a network raises on an image costs that image, what it raises on all is one error; full disks."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from explainers.cli.main import main
from run_case import command, embedded, folder

import explainers
from explainers.core.image_by_image import reason_of
from explainers.data.images import write_image
from explainers.errors import OutputError, WriteError
from explainers.run import run
from explainers.run.kinds.photographs import Photographs
from explainers.storage.journal import Journal


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

    with pytest.raises(
        OutputError, match=r"fails on every image \(3\): the network fails on .*: KeyError: 'positions'"
    ):
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


@pytest.mark.parametrize("kind", ["run", "evaluate"])
@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("bad"), ZeroDivisionError("bad")], ids=repr)
def test_whatever_reading_a_photo_raises_costs_that_photo(tmp_path, monkeypatch, kind, error):
    images = folder(tmp_path / "in", ("a.png", "b.png"))
    read = Photographs.input

    def failing(self, subject):
        if subject.pixels.shape[0] == 40:
            raise error
        return read(self, subject)

    monkeypatch.setattr(Photographs, "input", failing)
    if kind == "run":
        done = run(images, embedded(), ["saliency"], tmp_path / "out")
        assert (done.explained, done.failed) == (1, [("a.png", reason_of(error))])
    else:
        rows = explainers.evaluate(embedded(), images, ["saliency"], ["sparseness"]).rows
        assert {row["image"]: row["reason"] for row in rows} == {"a.png": reason_of(error), "b.png": ""}


def test_whatever_drawing_a_map_raises_costs_that_photo(tmp_path, monkeypatch):
    drawn = Photographs.drawn

    def failing(self, subject, *rest):
        if subject.pixels.shape[0] == 40:
            raise MemoryError
        return drawn(self, subject, *rest)

    monkeypatch.setattr(Photographs, "drawn", failing)
    done = run(folder(tmp_path / "in", ("a.png", "b.png")), embedded(), ["saliency"], tmp_path / "out")
    assert (done.explained, done.failed) == (1, [("a.png", "MemoryError")])
