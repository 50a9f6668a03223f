"""What lies in folders of images and is none: pipes, devices, links to themselves, and files larger than they look."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
from PIL import Image
from run_case import embedded, rows

import explainers
from explainers.data.images import find_images, opencv, read_image, write_image
from explainers.errors import ImageError, ReaderError
from explainers.run import run

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes and devices are a Unix matter")


@pytest.fixture
def odd(tmp_path, monkeypatch):
    """A folder with one image, things that are called like one, and one that needs a package that is not there."""
    folder = tmp_path / "in"
    write_image(folder / "good.png", np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8))
    os.mkfifo(folder / "fifo.png")
    (folder / "zero.png").symlink_to("/dev/zero")
    (folder / "self.png").symlink_to(folder / "self.png")
    (folder / "round.png").symlink_to(folder / "about.png")
    (folder / "about.png").symlink_to(folder / "round.png")
    avif = folder / "cut.avif"
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)).save(avif)
    data = bytearray(avif.read_bytes())
    begin = data.index(b"mdat") + 4
    data[begin : begin + 100] = bytes(100)
    avif.write_bytes(data)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (folder / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    return folder


def test_each_costs_itself_and_no_more(odd, tmp_path):
    assert {file.name for file in find_images(odd)} == {path.name for path in odd.iterdir()}
    done = run(odd, embedded(), ["saliency"], tmp_path / "out")
    reasons = dict(done.failed)
    assert set(reasons) == {path.name for path in odd.iterdir()} - {"good.png"}
    assert reasons["fifo.png"].endswith("fifo.png: it is not a regular file")
    assert reasons["zero.png"].endswith("zero.png: it is not a regular file")
    assert "self.png: Too many levels of symbolic links" in reasons["self.png"]
    assert "cut.avif is damaged" in reasons["cut.avif"]
    assert reasons["phone.heic"].endswith("is HEIC, which needs pillow-heif: pip install 'explainers[heic]'")
    assert [row["file"] for row in rows(tmp_path / "out") if row["status"] == "ok"] == ["good.png"]
    again = run(odd, embedded(), ["saliency"], tmp_path / "out")
    assert again.resumed == 1


def test_an_evaluation_passes_them_by(odd):
    result = explainers.evaluate(embedded(), odd, ["saliency"], ["sparseness"])
    assert {row["image"] for row in result.rows if row["status"] == "ok"} == {"good.png"}
    assert {row["image"] for row in result.rows} == {path.name for path in odd.iterdir()}


@pytest.mark.parametrize("support", ["none", "told"])
def test_a_pillow_without_a_format_says_what_to_install(odd, monkeypatch, support):
    Image.init()
    monkeypatch.setitem(Image.OPEN, "AVIF", (None, lambda head: "no support" if head[4:8] == b"ftyp" else False))
    if support == "none":
        monkeypatch.delitem(Image.OPEN, "AVIF")
        monkeypatch.setattr(Image, "ID", [kind for kind in Image.ID if kind != "AVIF"])
    with pytest.raises(ReaderError, match=r"cut\.avif is AVIF, which this Pillow was made without: pip install"):
        read_image(odd / "cut.avif")


def test_named_alone_they_are_refused(odd):
    with pytest.raises(ImageError, match="fifo.png is neither a folder nor a regular file"):
        find_images(odd / "fifo.png")
    with pytest.raises(ImageError, match="no file or folder"):
        find_images(odd / "self.png")


def test_a_file_that_claims_more_bytes_than_its_pixels_could_take_is_not_read(tmp_path):
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ImageError, match="it has 1,099,511,627,776 bytes, more than the limit of 800,000,000"):
        read_image(tmp_path / "a.png")


MEASURE = """
import resource, sys
import numpy as np
from explainers.data.images import read_image
from explainers.models import Preprocessing
prepare = Preprocessing(256, (224, 224))
prepare(np.zeros((300, 300, 3), np.uint8))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
prepare(read_image(sys.argv[1]).pixels)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts kilobytes as Linux does")
def test_a_large_photo_takes_a_few_times_its_pixels(tmp_path):
    opencv().imwrite(str(tmp_path / "a.png"), np.zeros((5000, 5000, 4), np.uint8))
    assert (tmp_path / "a.png").stat().st_size < 1_000_000
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "a.png")], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 400  # megabytes; its pixels are 75


def test_pillows_limit_is_neither_changed_nor_obeyed(tmp_path, monkeypatch):
    """It is the whole process's: threads that set and reset it could leave it off."""
    seen, stop = set(), threading.Event()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for name in ("a.png", "a.avif"):
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(tmp_path / name)

    def watch():
        while not stop.is_set():
            seen.add(Image.MAX_IMAGE_PIXELS)

    def read():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(20):
                for name in ("a.png", "a.avif"):
                    assert read_image(tmp_path / name).pixels.shape == (64, 64, 3)

    watcher = threading.Thread(target=watch)
    watcher.start()
    read()
    stop.set()
    watcher.join()
    assert seen == {100}
