"""Maps of a run as TIFF, read back by tifffile and by Pillow."""

from __future__ import annotations

import json

import numpy as np
import pytest
from explainers.cli.main import main
from PIL import Image

from explainers.errors import DataError, OptionError
from explainers.run.export.tiff import write_tiff
from explainers.run.report.folder import ReadFolder

tifffile = pytest.importorskip("tifffile")


def test_every_map_comes_back_to_the_bit_with_its_place(ran, hostile, tmp_path):
    made = write_tiff(ran, tmp_path / "maps")
    rows = [row for _, unit in ReadFolder(ran).units() for row in unit if row.get("map")]
    assert made.counts["map"] == len(rows) == 2 * len(hostile) == len(list((tmp_path / "maps").rglob("*.tif")))
    for row in rows:
        path = (tmp_path / "maps" / row["map"].removeprefix("maps/")).with_suffix(".tif")
        with np.load(ran / row["map"]) as saved, tifffile.TiffFile(path) as read:
            told = json.loads(read.pages[0].description)
            assert read.asarray().dtype == np.float32
            np.testing.assert_array_equal(read.asarray(), saved["map"])
            assert told["box"] == saved["box"].tolist()
            assert told["image_size"] == [40, 28]
        assert (told["file"], told["method"]) == (row["file"], row["method"])
    assert "broken.png" in made.left_out[0][0]
    assert "is not an image" in made.left_out[0][1]


def test_channels_are_pages(ran, tmp_path, monkeypatch):
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    saved = {"box": np.array([0, 0, 3, 4]), "image_size": np.array([3, 4])}
    monkeypatch.setattr("explainers.run.export.exported.load", lambda path, needed: (values, saved))
    write_tiff(ran, tmp_path)
    first = next(tmp_path.rglob("*.tif"))
    np.testing.assert_array_equal(tifffile.imread(first), values)
    with Image.open(first) as pages:
        assert pages.n_frames == 2


def test_a_map_that_is_lost_is_left_out_and_one_that_is_constant_is_named(ran, tmp_path, monkeypatch):
    units = list(ReadFolder(ran).units())
    rows = [row for _, unit in units for row in unit if row.get("map")]
    changed = [{**rows[0], "map": "maps/lost.npz"}, {**rows[1], "status": "constant"}, {**rows[2], "map": "../out.npz"}]
    monkeypatch.setattr(ReadFolder, "units", lambda self: iter([("x", changed)]))
    made = write_tiff(ran, tmp_path)
    assert made.counts["map"] == 1
    assert "no longer there" in made.left_out[0][1]
    assert len(made.left_out) == 2
    assert made.constant == (f"{rows[1]['file']}, {rows[1]['method']}",)


def test_the_command_writes_beside_the_maps_once(ran, capsys):
    assert main(["export", str(ran), "--to", "tiff"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("8 maps\nfolder")
    assert "broken.png: " in printed.err
    assert main(["export", str(ran), "--to", "tiff"]) == 2
    assert "with --overwrite those of the same name are replaced" in capsys.readouterr().err
    assert main(["export", str(ran), "--to", "tiff", "--overwrite"]) == 0
    assert main(["verify", str(ran)]) == 0


def test_what_has_no_maps_of_photos_is_refused(ran, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    with pytest.raises(OptionError, match="holds files"):
        write_tiff(ran, tmp_path / "full")
    with pytest.raises(DataError, match="holds nothing of explain"):
        write_tiff(tmp_path)
