"""An evaluation that was killed, changed or is under way in its folder."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from child import Child, ran
from evaluated_case import quick, table
from explainers.cli.main import main
from run_case import embedded, folder, held_elsewhere

import explainers
from explainers.data.images import write_image
from explainers.data.samples import FOLDER
from explainers.errors import OptionError

SCRIPT = """
import sys, explainers
from explainers.data.samples import MASKS
print("ready", flush=True)
explainers.evaluate(
    explainers.load_model("embedded", device="cpu"), sys.argv[2], ["grad-cam", "saliency"],
    [explainers.create_metric("insertion", tolerance=0.1), "pxap"], None, MASKS, out=sys.argv[1], batch_size=2,
    figures=False,
)
"""


@pytest.fixture(scope="module")
def ten(tmp_path_factory) -> Path:
    images = tmp_path_factory.mktemp("ten")
    for path in sorted(FOLDER.glob("*.png"))[:10]:
        shutil.copy(path, images)
    return images


@pytest.fixture(scope="module")
def undisturbed(ten, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    assert ran(SCRIPT, out, ten).returncode == 0
    return out


def test_a_killed_evaluation_goes_on_and_gives_the_same_table(tmp_path, ten, undisturbed):
    wait = float(np.random.default_rng().uniform(0.2, 2))
    with Child(SCRIPT, tmp_path / "out", ten) as process:
        while not process.stdout:
            time.sleep(0.02)
        time.sleep(wait)
        process.send(signal.SIGKILL)
        assert process.finished().returncode == -signal.SIGKILL
    journal = tmp_path / "out/journal.jsonl"
    before = journal.read_bytes() if journal.exists() else b""
    assert ran(SCRIPT, tmp_path / "out", ten).returncode == 0
    after = journal.read_bytes()
    assert after.startswith(before[: before.rfind(b"\n") + 1]), f"killed after {wait} s"

    def content(out):
        return [{key: value for key, value in row.items() if key != "seconds"} for row in table(out / "scores.csv")]

    assert content(tmp_path / "out") == content(undisturbed), f"killed after {wait} s"
    columns = ("explainer", "score", "value", "low", "high", "images")
    one, two = (
        [[row[c] for c in columns] for row in table(out / "summary.csv")] for out in (tmp_path / "out", undisturbed)
    )
    assert one == two


def test_what_is_done_is_not_done_again_and_a_new_image_is_added(tmp_path):
    images, calls = folder(tmp_path / "in"), []

    def counted(batch, targets):
        calls.append(len(batch))
        return batch.mean(1)

    def go():
        return explainers.evaluate(
            embedded(), images, {"mine": counted}, quick("deletion"), out=tmp_path / "out", batch_size=1, figures=False
        )

    first = go()
    assert calls == [1, 1, 1]
    again = go()
    assert calls == [1, 1, 1]
    assert [row["value"] for row in first.rows] == [row["value"] for row in again.rows]
    assert np.array_equal(first.rows[0]["curve"].values, again.rows[0]["curve"].values)
    write_image(tmp_path / "in/d.png", np.random.default_rng(9).integers(0, 255, (40, 40, 3), np.uint8))
    assert len(go().values("deletion")["mine"]) == 4
    assert calls == [1, 1, 1, 1]
    (tmp_path / "in/a.png").unlink()
    assert set(go().values("deletion")["mine"]) == {"d.png", "sub/b.jpg", "sub/c.png"}


def test_another_evaluation_is_not_mixed_into_a_folder(tmp_path):
    images, out = folder(tmp_path / "in"), tmp_path / "out"
    explainers.evaluate(embedded(), images, ["grad-cam"], quick("deletion"), out=out, figures=False)
    for change, text in (
        (
            {"metrics": ["sparseness"]},
            r"metrics\.deletion \(asked for there, not now\); metrics\.sparseness \(not asked for there, ",
        ),
        (
            {"explainers": ["cam"]},
            r"methods\.grad-cam \(asked for there, not now\); methods\.cam \(not asked for there, ",
        ),
        ({"seed": 1}, r"seed \(0 there, 1 now\)\. Go on"),
        ({"targets": 3}, r"targets \(None there, 3 now\)\. Go on"),
    ):
        call = {"explainers": ["grad-cam"], "metrics": quick("deletion"), **change}
        with pytest.raises(OptionError, match=f"holds a run that differs in .*{text}"):
            explainers.evaluate(embedded(), images, **call, out=out, figures=False)


def test_a_folder_that_another_evaluation_writes_to_is_refused_and_left_as_it_is(tmp_path, capsys):
    call = ["evaluate", str(folder(tmp_path / "in")), "--model", "embedded", "-m", "saliency", "--metric", "sparseness"]
    call += ["--out", str(tmp_path / "out"), "--quiet"]
    assert main(call) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    for more in ([], ["--overwrite"]):
        with held_elsewhere(tmp_path / "out"):
            assert main([*call, *more]) == 2
        assert "another process is writing to" in capsys.readouterr().err
        assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before
