"""What is said of a path that is not there: what was looked for, where, and which name may be meant."""

from __future__ import annotations

import pytest

from explainers.storage.paths import not_there, unreadable


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    (tmp_path / ".hidden").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("phots", "no file phots (nothing in HERE is called phots); is photos meant?"),
        ("PHOTOS", "no file PHOTOS (nothing in HERE is called PHOTOS); is photos meant?"),
        ("photso/cat.jpg", "no file photso/cat.jpg (nothing in HERE is called photso); is photos/cat.jpg meant?"),
        ("photso/dog.jpg", "no file photso/dog.jpg (nothing in HERE is called photso); is photos meant?"),
        (
            "photos/cat.png",
            "no file photos/cat.png (nothing in HERE/photos is called cat.png); is photos/cat.jpg meant?",
        ),
        ("other/x/y", "no file other/x/y (nothing in HERE is called other)"),
        ("hidden", "no file hidden (nothing in HERE is called hidden)"),
        ("photos/cat.jpg/x", "no file photos/cat.jpg/x (photos/cat.jpg is no folder)"),
        ("photos", "no file photos (that is a folder)"),
        ("a\x1bb", "no file a\\x1bb (nothing in HERE is called a\\x1bb)"),
    ],
)
def test_it_is_said_where_a_path_ends_and_what_is_near(folder, path, told):
    assert not_there(path, "file") == told.replace("HERE", str(folder.resolve()))


def test_a_whole_path_says_itself_where_it_is(folder):
    gone = folder / "photos" / "cat.png"
    assert not_there(gone, "file", "expected a picture") == (
        f"no file {gone}; expected a picture; is {folder}/photos/cat.jpg meant?"
    )


def test_only_a_file_that_is_not_there_is_said_not_to_be_there(folder):
    assert unreadable("phots", FileNotFoundError(2, "No such file")).startswith("no file phots (")
    assert unreadable("photos/cat.jpg", PermissionError(13, "Permission denied")) == (
        "cannot read photos/cat.jpg: Permission denied"
    )
