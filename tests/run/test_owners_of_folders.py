"""Whose a folder is: of a run, an evaluation, the user, or nobody; and folders that disappear."""

from __future__ import annotations

import shutil

import pytest
from explainers.cli.main import main
from run_case import command, embedded, folder, rows

import explainers
from explainers.data.images import find_images
from explainers.errors import OptionError, WriteError
from explainers.run import run


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


def test_a_folder_of_the_users_that_is_called_as_ours_is_left_as_it_is(tmp_path):
    images, out = folder(tmp_path / "in", ("a.png",)), tmp_path / "out"
    folder(out, ("maps/mine.png",))
    for overwrite in (False, True):
        with pytest.raises(OptionError, match=r"maps is there already"):
            run(images, embedded(), ["cam"], out, overwrite=overwrite)
    assert [path.name for path in (out / "maps").iterdir()] == ["mine.png"]
