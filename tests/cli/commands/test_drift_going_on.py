"""`explain drift` that was ended or is asked again goes on from what is done, or is refused."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from child import ran
from drift_case import of_files, table
from explainers.cli.main import main

from explainers.storage.verify import verify

TWO_METHODS = ["-m", "saliency", "-m", "smooth-grad", "--option", "smooth-grad.samples=2", "--batch-size", "4"]
KILLED = """
import os, signal, sys
from explainers.storage.journal import Journal
append, left, early, number = Journal.append, [int(sys.argv[1])], sys.argv[2] == "early", int(sys.argv[3])
for each in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(each, signal.SIG_DFL)  # what runs the tests may ignore them
signal.signal(signal.SIGINT, signal.default_int_handler)
def counted(self, key, rows, files):
    left[0] -= 1
    if left[0] == 0 and early:
        os.kill(os.getpid(), number)
    append(self, key, rows, files)
    if left[0] == 0:
        os.kill(os.getpid(), number)
Journal.append = counted
from explainers.cli.main import main
from PIL import Image, ImageSequence
sys.exit(main(sys.argv[4:]))
"""


@pytest.fixture(scope="module")
def whole(weights, tmp_path_factory) -> Path:
    """A comparison that nobody disturbed."""
    out = tmp_path_factory.mktemp("whole")
    assert main(of_files(weights, out, *TWO_METHODS)) == 0
    return out


@pytest.mark.parametrize(
    ("name", "moment", "when"),
    [
        ("SIGKILL", 6, "early"),  # maps of the reference
        ("SIGKILL", 23, "late"),  # another network
        ("SIGTERM", 6, "early"),
        ("SIGHUP", 23, "late"),
    ],
)
def test_a_drift_that_is_ended_goes_on_to_the_same_table(weights, whole, tmp_path, name, moment, when):
    out, number = tmp_path / "out", getattr(signal, name)
    asked = of_files(weights, out, *TWO_METHODS)
    ended = ran(KILLED, str(moment), when, str(int(number)), *asked, cwd=tmp_path)
    if name == "SIGKILL":
        assert ended.returncode == -number
    else:
        assert ended.returncode == 130
        assert ended.stderr.splitlines() == ["explain: interrupted; the same command goes on from here"]
    before = (out / "journal.jsonl").read_bytes()
    assert before.count(b"\n") == 1 + moment - (when == "early")
    assert not (out / "drift.csv").exists()
    assert not list(out.rglob(".*.tmp")) or name == "SIGKILL"
    assert main(asked) == 0
    assert (out / "journal.jsonl").read_bytes().startswith(before)
    for each in ("drift.csv", "scores.csv", "networks.csv", "summary.csv", "summary.md"):
        assert (out / each).read_text() == (whole / each).read_text()


def test_what_is_done_is_not_done_again_and_more_networks_are_added(weights, tmp_path, monkeypatch):
    out = tmp_path / "out"
    assert main(of_files(weights, out, "-m", "saliency", files=("net-1.pt", "net-5.pt"))) == 0
    first = (out / "journal.jsonl").read_bytes()
    assert main(of_files(weights, out, "-m", "saliency", files=("net-1.pt", "net-5.pt"))) == 0
    assert (out / "journal.jsonl").read_bytes() == first
    assert main(of_files(weights, out, "-m", "saliency")) == 0
    assert (out / "journal.jsonl").read_bytes().startswith(first)
    assert [row["checkpoint"] for row in table(out / "networks.csv")] == ["net-1.pt", "net-5.pt", "net-20.pt"]
    (damaged,) = list((out / "reference").glob("*.npy"))[:1]
    damaged.write_bytes(b"nothing")
    table_before = (out / "drift.csv").read_bytes()
    assert main(of_files(weights, out, "-m", "saliency")) == 0
    assert (out / "drift.csv").read_bytes() == table_before
    assert not verify(out).problems


def test_another_comparison_in_the_folder_is_refused(weights, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(of_files(weights, out, "-m", "saliency")) == 0
    assert main(of_files(weights, out, "-m", "grad-cam")) == 2
    told = capsys.readouterr().err
    assert (
        "differs in methods.saliency (asked for there, not now); methods.grad-cam (not asked for there, asked" in told
    )
    assert "choose another output folder (--out)" in told
    assert main(of_files(weights, out, "-m", "grad-cam", "--overwrite")) == 0
