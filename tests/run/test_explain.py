"""A folder through methods: what is written, what a bad image costs, and going on after a kill."""

from __future__ import annotations

import csv
import json
import os
import signal
import time
import tracemalloc

import numpy as np
import pytest
import torch
from child import Child
from run_case import embedded, folder, held_elsewhere

import explainers
from explainers.data.images import ImageFile, read_image
from explainers.data.samples import sample_images
from explainers.errors import ImageError, OptionError, TargetError, UnsupportedError
from explainers.run import MethodCall, RunOptions, run


def table(out):
    with (out / "results.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_overlays_maps_table_and_manifest_are_what_the_explainers_give(tmp_path):
    loaded, images = embedded(), folder(tmp_path / "in")
    out = tmp_path / "out"
    summary = run(images, loaded, ["grad-cam", MethodCall("saliency", {"channels": "sum"})], out)
    assert (summary.images, summary.explained, summary.failed) == (3, 3, [])
    rows = table(out)
    assert [(row["file"], row["method"]) for row in rows] == [
        (name, method) for name in ("a.png", "sub/b.jpg", "sub/c.png") for method in ("grad-cam", "saliency")
    ]
    for row in rows:
        pixels = read_image(images / row["file"]).pixels
        batch = loaded.preprocessing(pixels)[None]
        scores = explainers.class_scores(loaded, batch)[0]
        assert int(row["predicted"]) == int(row["target"]) == int(scores.argmax())
        assert row["predicted_name"] == loaded.class_names[int(scores.argmax())]
        assert float(row["probability"]) == pytest.approx(float(scores.softmax(0).max()), abs=1e-4)
        options = {"channels": "sum"} if row["method"] == "saliency" else {}
        expected = explainers.create(row["method"], loaded, **options)(batch)[0]
        with np.load(out / row["map"]) as saved:
            torch.testing.assert_close(torch.from_numpy(saved["map"]), expected, rtol=1e-4, atol=1e-5)
            assert saved["image_size"].tolist() == list(pixels.shape[:2])
            assert saved["box"].tolist() == [0, 0, *pixels.shape[:2]]
        assert read_image(out / row["overlay"]).pixels.shape == pixels.shape
        assert row["overlay"] == f"overlays/{row['file'].rpartition('.')[0]}.{row['method']}.png"
        assert row["layer"] == ("stage4" if row["method"] == "grad-cam" else "")
        assert row["status"] == "ok"
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["status"] == "done"
    assert manifest["model"]["sha256"] == loaded.sha256
    assert manifest["methods"][1] == {"name": "saliency", "label": "saliency", "options": {"channels": "sum"}}


def test_a_bad_image_costs_itself_a_row(tmp_path):
    images = folder(tmp_path / "in")
    (images / "empty.png").write_bytes(b"")
    (images / "text.jpg").write_text("no picture")
    (images / "x.png").mkdir()
    summary = run(images, embedded(), ["grad-cam"], tmp_path / "out", batch_size=2)
    assert sorted(name for name, _ in summary.failed) == ["empty.png", "text.jpg", "x.png"]
    rows = {row["file"]: row for row in table(tmp_path / "out")}
    assert len(rows) == 6
    assert rows["empty.png"]["status"] == "failed"
    assert "is empty" in rows["empty.png"]["reason"]
    assert rows["sub/b.jpg"]["status"] == "ok"


def test_an_image_on_which_the_network_fails_costs_itself_a_row_and_its_batch_nothing(tmp_path):
    loaded, images = embedded(), folder(tmp_path / "in")

    class Picky(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = loaded.network

        def forward(self, x):
            scores = self.inner(x)
            bad = (x.flatten(1).mean(1) - poison).abs() < 1e-6
            return torch.where(bad[:, None], float("nan"), scores)

    poison = loaded.preprocessing(read_image(images / "sub/b.jpg").pixels).mean()
    from dataclasses import replace

    summary = run(images, replace(loaded, network=Picky()), ["saliency"], tmp_path / "out")
    assert [name for name, _ in summary.failed] == ["sub/b.jpg"]
    assert "NaN or infinite" in summary.failed[0][1]
    assert [row["status"] for row in table(tmp_path / "out")].count("ok") == 2


def test_top_k_and_targets(tmp_path):
    loaded, images = embedded(), folder(tmp_path / "in")
    run(images, loaded, ["cam"], tmp_path / "k", options=RunOptions(top_k=3))
    rows = table(tmp_path / "k")
    assert len(rows) == 9
    first = [float(row["target_probability"]) for row in rows[:3]]
    assert first == sorted(first, reverse=True)
    assert rows[1]["overlay"] == f"overlays/a.cam.2-{rows[1]['target']}.png"
    run(images, loaded, ["cam"], tmp_path / "t", options=RunOptions(target="Seven"))
    assert {row["target"] for row in table(tmp_path / "t")} == {"7"}
    for wrong, error in ((10, TargetError), ("eleven", TargetError)):
        with pytest.raises(error):
            run(images, loaded, ["cam"], tmp_path / "w", options=RunOptions(target=wrong))
    with pytest.raises(OptionError, match="cannot be combined"):
        RunOptions(top_k=2, target=3)


def test_images_of_one_stem_do_not_overwrite_each_other(tmp_path):
    images = folder(tmp_path / "in", ("a.png", "a.jpg", "A.webp", "b.png"))
    run(images, embedded(), ["cam"], tmp_path / "out")
    rows = table(tmp_path / "out")
    assert len({row["overlay"].lower() for row in rows}) == 4
    assert "overlays/b.cam.png" in {row["overlay"] for row in rows}
    assert all((tmp_path / "out" / row["map"]).exists() for row in rows)


def test_names_that_are_no_utf8_go_through(tmp_path):
    images = folder(tmp_path / "in", ("ü, \n日.png",))
    os.rename(images / "ü, \n日.png", os.path.join(os.fsencode(images), b"\xff\xfe.png"))
    folder(images, ("komma, 日.png",))
    summary = run(images, embedded(), ["cam"], tmp_path / "out")
    assert summary.explained == 2
    assert sorted(row["file"] for row in table(tmp_path / "out")) == ["\\udcff\\udcfe.png", "komma, 日.png"]
    again = run(images, embedded(), ["cam"], tmp_path / "out")
    assert (again.explained, again.resumed) == (0, 2)


def test_a_common_scale_makes_overlays_comparable(tmp_path):
    loaded, images = embedded(), folder(tmp_path / "in")
    own = run(images, loaded, ["grad-cam"], tmp_path / "own")
    common = run(images, loaded, ["grad-cam"], tmp_path / "common", options=RunOptions(scale="common", cmap="gray"))
    assert own.explained == common.explained == 3
    limits = [np.load(tmp_path / "common" / row["map"])["map"] for row in table(tmp_path / "common")]
    ends = [np.quantile(values, 0.995, method="higher") for values in limits]  # of maps without negative values
    from explainers.render import Style, overlay

    for row, values in zip(table(tmp_path / "common"), limits, strict=True):
        photo = read_image(images / row["file"]).pixels
        style = Style("gray", limits=(min(float(v.min()) for v in limits), max(map(float, ends))))
        expected = overlay(photo, values, box=(0, 0, *photo.shape[:2]), style=style)
        assert np.array_equal(read_image(tmp_path / "common" / row["overlay"]).pixels, expected)


def test_contact_sheets_come_in_pages(tmp_path):
    summary = run(
        folder(tmp_path / "in"), embedded(), ["cam", "saliency"], tmp_path / "out", options=RunOptions(contact_sheet=2)
    )
    assert [path.name for path in summary.sheets] == ["sheet-001.png", "sheet-002.png"]
    assert read_image(summary.sheets[0]).pixels.shape[1] == 3 * 200 + 8


def test_the_same_run_again_does_nothing_and_another_one_is_refused(tmp_path):
    loaded, images, out = embedded(), folder(tmp_path / "in"), tmp_path / "out"
    run(images, loaded, ["cam"], out)
    again = run(images, loaded, ["cam"], out)
    assert (again.explained, again.resumed) == (0, 3)
    os.remove(out / "overlays" / "a.cam.png")
    (images / "sub/c.png").write_bytes((images / "a.png").read_bytes())
    changed = run(images, loaded, ["cam"], out)
    assert (changed.explained, changed.resumed) == (2, 1)
    assert (out / "overlays" / "a.cam.png").exists()
    with pytest.raises(
        OptionError,
        match=r"differs in methods\.cam \(asked for there, not now\); methods\.grad-cam \(not asked for there",
    ):
        run(images, loaded, ["grad-cam"], out)
    assert len(table(out)) >= 3
    assert run(images, loaded, ["grad-cam"], out, overwrite=True).explained == 3
    assert not list((out / "overlays").rglob("*.cam.png"))


EIGHT = "sample_images()[:8], load_model('embedded', device='cpu'), ['cam', 'smooth-grad']"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    run(sample_images()[:8], embedded(), ["cam", "smooth-grad"], out, batch_size=2)
    return out


@pytest.mark.parametrize("lines", [0, 5])
def test_a_killed_run_goes_on_and_gives_the_same_table(tmp_path, whole, lines):
    """Killed as soon as its journal exists, and after some images of it."""
    script = (
        "import sys; from explainers.run import run; from explainers import load_model;"
        "from explainers.data.samples import sample_images;"
        f"run({EIGHT}, sys.argv[1], batch_size=2)"
    )
    journal = tmp_path / "out/journal.jsonl"
    with Child(script, tmp_path / "out") as process:
        while not process.ended and (not journal.exists() or journal.read_bytes().count(b"\n") < lines):
            time.sleep(0.005)
        process.send(signal.SIGKILL)
        process.finished()
    done = max(0, journal.read_bytes().count(b"\n") - 1)
    summary = run(sample_images()[:8], embedded(), ["cam", "smooth-grad"], tmp_path / "out", batch_size=2)
    assert summary.resumed >= max(0, done - 1)
    assert summary.resumed + summary.explained == 8
    rows = table(tmp_path / "out")
    assert len(rows) == len({(row["file"], row["method"]) for row in rows}) == 16

    def content(out):
        return sorted(tuple(v for k, v in row.items() if k != "seconds") for row in table(out))

    assert content(tmp_path / "out") == content(whole)
    assert not list((tmp_path / "out").rglob("*.tmp")) or summary.explained


def test_a_torn_last_line_of_the_journal_is_done_again(tmp_path):
    images, out = folder(tmp_path / "in"), tmp_path / "out"
    run(images, embedded(), ["cam"], out)
    data = (out / "journal.jsonl").read_bytes()
    (out / "journal.jsonl").write_bytes(data[:-40])
    summary = run(images, embedded(), ["cam"], out)
    assert (summary.explained, summary.resumed) == (1, 2)
    assert len(table(out)) == 3


def test_refused_methods_end_the_run_before_it_writes_or_are_left_out_on_request(tmp_path):
    loaded, images = embedded(), folder(tmp_path / "in")
    with pytest.raises(UnsupportedError, match="attention-rollout.*--skip-unsupported"):
        run(images, loaded, ["cam", "attention-rollout"], tmp_path / "a")
    summary = run(
        images, loaded, ["cam", "attention-rollout"], tmp_path / "b", options=RunOptions(skip_unsupported=True)
    )
    assert list(summary.refused) == ["attention-rollout"]
    assert {row["method"] for row in table(tmp_path / "b")} == {"cam"}


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ([], "no method given"),
        (["cam", "cam"], "asked for twice"),
        (["cma"], "did you mean cam"),
        ([MethodCall("cam", {"depth": 2})], "has no option depth"),
        ([MethodCall("grad-cam", {"layer": [-1, -2]})], "one layer"),
    ],
)
def test_wrong_calls_are_refused_before_anything_is_written(tmp_path, methods, message):
    with pytest.raises(OptionError, match=message):
        run(folder(tmp_path / "in"), embedded(), methods, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_empty_and_missing_folders_are_refused(tmp_path):
    (tmp_path / "bare").mkdir()
    with pytest.raises(ImageError, match="no images below"):
        run(tmp_path / "bare", embedded(), ["cam"], tmp_path / "out")
    with pytest.raises(ImageError, match="no file or folder"):
        run(tmp_path / "none", embedded(), ["cam"], tmp_path / "out")


def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    loaded, images = embedded(), folder(tmp_path / "in", ("a.png", "b.png"))
    names = [ImageFile(images / "a.png", f"{index:04d}.png") for index in range(160)]
    options = RunOptions(overlays=False, maps=False)

    def peak(count):
        tracemalloc.start()
        run(names[:count], loaded, ["cam"], tmp_path / str(count), options=options, batch_size=4)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(8)
    # How many images wait at the peak, up to some twenty, is a matter of timing; 120 more would be three times this.
    assert peak(160) < peak(40) + 40 * loaded.preprocessing(np.zeros((40, 64, 3), np.uint8)).nbytes


def test_a_folder_that_another_run_writes_to_is_refused_and_left_as_it_is(tmp_path):
    images = folder(tmp_path / "in")
    run(images, embedded(), ["grad-cam"], tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    with held_elsewhere(tmp_path / "out"), pytest.raises(OptionError, match="another process is writing to .*out"):
        run(images, embedded(), ["grad-cam"], tmp_path / "out", overwrite=True)
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before
