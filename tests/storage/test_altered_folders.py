"""`verify` finds whatever was changed, cut, taken out of or put into a folder of results."""

from __future__ import annotations

import json

import pytest

from explainers.storage.run_folder import Contents, RunFolder
from explainers.storage.verify import verify

CONTENTS = Contents("run", ("journal.jsonl", "results.csv", "manifest.json"), ("maps",))


@pytest.fixture
def out(tmp_path):
    """The folder of a run of three images."""
    folder = RunFolder(tmp_path / "out", CONTENTS)
    with folder.held():
        folder.begin({"seed": 0})
        (folder.path / "maps").mkdir()
        for name in "abc":
            (folder.path / "maps" / name).write_text(name)
            folder.note(name, [{"file": name}], [f"maps/{name}"])
        (folder.path / "results.csv").write_text("file\na\nb\nc\n")
        folder.check("abc")
        folder.write_manifest({"status": "done", "seed": 0}, ["results.csv"])
    assert verify(folder.path).problems == []
    return folder.path


def test_every_byte_counts(out):
    for path in (each for each in sorted(out.rglob("*")) if each.is_file()):
        data = path.read_bytes()
        for place in range(0, len(data), 1 + len(data) // 40):
            changed = bytearray(data)
            changed[place] ^= 1
            for altered in (bytes(changed), data[:place]):
                path.write_bytes(altered)
                assert verify(out).problems, f"{path.name} at {place}"
        path.write_bytes(data)
    assert verify(out).problems == []


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[:-1],
        lambda lines: [lines[0], *lines[2:]],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [lines[0], *lines[:0:-1]],
        lambda lines: lines[:1],
    ],
    ids=["last line gone", "a line gone", "a line twice", "another order", "first line alone"],
)
def test_whole_lines_of_a_journal_count(out, change):
    lines = (out / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (out / "journal.jsonl").write_bytes(b"".join(change(lines)))
    (problem,) = verify(out).problems
    assert problem.startswith("journal.jsonl has ")


@pytest.mark.parametrize("key", ["seed", "stale", "command", "files", "sum"])
def test_every_fact_of_a_manifest_counts(out, key):
    values = json.loads((out / "manifest.json").read_text())
    for changed in ({**values, key: 7}, {name: value for name, value in values.items() if name != key}):
        (out / "manifest.json").write_text(json.dumps(changed, indent=2) + "\n")
        assert verify(out).problems[0].startswith("manifest.json has another content")


def test_what_was_put_into_its_folders_is_named(out):
    (out / "maps" / "mine").write_text("")
    (out / "mine").write_text("")  # beside them is the user's place
    assert verify(out).problems == ["maps/mine is not listed: something else wrote it, or a run that was stopped"]


def test_who_goes_on_lists_anew(out):
    folder = RunFolder(out, CONTENTS)
    with folder.held():
        assert folder.begin({"seed": 0}) == {*"abc"}
        (out / "maps" / "d").write_text("d")
        folder.note("d", [{"file": "d"}], ["maps/d"])
        assert verify(out).problems[0].startswith("journal.jsonl has ")
        folder.check("abcd")
        folder.write_manifest({"status": "done", "seed": 0}, ["results.csv"])
    assert verify(out).problems == []
