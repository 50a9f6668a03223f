"""Files that are whole or as before, and folders that belong to one process."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from filelock import FileLock

from explainers.errors import OptionError, WriteError
from explainers.storage import lock
from explainers.storage.atomic import replaced, write_bytes, write_json
from explainers.storage.lock import LOCK, locked


def test_replaced_takes_the_place_of_the_file(tmp_path):
    path = tmp_path / "new" / "a.txt"
    for text in ("first", "second"):
        with replaced(path) as temporary:
            assert temporary.parent == path.parent
            temporary.write_text(text)
            assert not path.exists() or path.read_text() == "first"
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


def half_written(path, error):
    with replaced(path) as temporary:
        temporary.write_text("half")
        raise error


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_a_write_that_fails_half_way_leaves_the_file_as_it_was_and_nothing_beside_it(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(type(error)):
        half_written(path, error)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_of_the_system_is_a_write_error_with_the_path(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(WriteError) as caught:
        half_written(path, OSError(28, "No space left on device"))
    assert str(caught.value) == (
        f"cannot write {path}: No space left on device (make room on the disk); what was written before is whole"
    )
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_in_the_place_of_the_file_is_a_write_error(tmp_path):
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(WriteError, match="cannot write .*a.txt: Is a directory"):
        with replaced(tmp_path / "a.txt") as temporary:
            temporary.write_text("x")
    assert list(tmp_path.iterdir()) == [tmp_path / "a.txt"]


def test_a_file_in_the_place_of_the_folder_is_a_write_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="cannot write .*a.txt"), replaced(tmp_path / "file" / "run" / "a.txt"):
        pass


def test_json_is_written_as_it_was_given_and_what_is_none_of_its_values_is_refused(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"é": [1, None, 0.5]})
    assert path.read_bytes() == b'{\n  "\\u00e9": [\n    1,\n    null,\n    0.5\n  ]\n}\n'
    with pytest.raises(TypeError):
        write_json(path, {"a": path})
    write_json(path, {"a": path}, default=str)
    assert path.read_text() == f'{{\n  "a": "{path}"\n}}\n'


def test_a_long_name_still_fits_beside_the_file(tmp_path):
    path = tmp_path / ("n" * 255)
    write_bytes(path, b"x")
    assert path.read_bytes() == b"x"


HOLDS = """
import sys
from pathlib import Path
from explainers.storage.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path / "out")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()


def test_a_folder_that_another_process_writes_to_is_refused(tmp_path, holder):
    with pytest.raises(OptionError, match=r"another process is writing to .*out; wait until it is done, or choose"):
        with locked(tmp_path / "out"):
            pass
    holder.communicate()
    with locked(tmp_path / "out"):
        assert [path.name for path in (tmp_path / "out").iterdir()] == [LOCK]
    assert not (tmp_path / "out").exists()


def test_a_folder_stays_with_what_was_written_to_it_and_where_it_was_before(tmp_path):
    with locked(tmp_path / "new"):
        write_bytes(tmp_path / "new" / "a.txt", b"x")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.txt"]
    (tmp_path / "old").mkdir()
    with locked(tmp_path / "old"):
        pass
    assert list((tmp_path / "old").iterdir()) == []


def test_a_process_that_was_killed_holds_nothing(tmp_path, holder):
    holder.kill()
    holder.wait()
    assert [path.name for path in (tmp_path / "out").iterdir()] == [LOCK]
    with locked(tmp_path / "out"):
        pass


def test_a_folder_is_free_after_an_error_inside(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        raise ZeroDivisionError
    with locked(tmp_path):
        pass


def test_another_thread_of_the_same_process_is_refused_and_the_same_thread_is_not(tmp_path):
    def hold():
        with locked(tmp_path):
            pass

    with locked(tmp_path), ThreadPoolExecutor(1) as pool:
        hold()
        assert [path.name for path in tmp_path.iterdir()] == [LOCK]
        with pytest.raises(OptionError, match="another process is writing"):
            pool.submit(hold).result()
    hold()


def test_who_comes_while_another_is_leaving_waits_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "WAIT", 5)
    held, leave = threading.Event(), threading.Event()

    def hold():
        with locked(tmp_path):
            held.set()
            leave.wait()

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(hold)
        held.wait()
        threading.Timer(0.03, leave.set).start()
        with locked(tmp_path):
            assert leave.is_set()
        done.result()


def test_the_lock_of_a_folder_that_was_made_again_stays(tmp_path):
    with locked(tmp_path / "out"):
        shutil.rmtree(tmp_path / "out")
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / LOCK).write_text("of another process")
    assert (tmp_path / "out" / LOCK).read_text() == "of another process"


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(WriteError, match="cannot write .*out: File exists"), locked(tmp_path / "out"):
        pass


def test_a_file_system_without_locks_is_told_and_used(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(FileLock, "acquire", refuse)
    with pytest.warns(UserWarning, match="has no locks: see to it that no other process writes there"):
        with locked(tmp_path / "out"):
            write_bytes(tmp_path / "out" / "a.txt", b"x")
    assert (tmp_path / "out" / "a.txt").read_bytes() == b"x"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("file/table.csv", "a file stands where a folder has to be: move it, or choose another folder"),
        ("folder", "a folder stands where a file has to be: move it, or choose another name"),
        ("x" * 300, "choose a shorter name"),
    ],
)
def test_what_cannot_be_written_is_told_with_what_to_do(tmp_path, name, told):
    (tmp_path / "file").touch()
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    with pytest.raises(WriteError) as caught:
        write_bytes(tmp_path / name, b"values")
    assert f"({told}); what was written before is whole" in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
