"""Maps of a run as a Zarr store, read back by zarr."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from explainers.cli.main import main

from explainers.errors import DataError, DependencyError, OptionError
from explainers.run.export import exported
from explainers.run.export.zarr import UNITS, write_zarr
from explainers.run.report.folder import ReadFolder

zarr = pytest.importorskip("zarr", minversion="3")


def test_every_map_comes_back_to_the_bit_with_what_it_is_of(ran, hostile, tmp_path, capsys):
    out = tmp_path / "maps.zarr"
    assert main(["export", str(ran), "--to", "zarr", "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("8 maps\n2 arrays\nfolder")
    assert "broken.png: " in printed.err
    root = zarr.open_group(out, mode="r")
    assert root.attrs["schema_version"] == 1
    rows = [row for _, unit in ReadFolder(ran).units() for row in unit if row.get("map")]
    for method in ("grad-cam", "saliency"):
        ((name, array),) = root[method].arrays()
        mine = [row for row in rows if row["method"] == method]
        assert (name, array.shape, array.chunks) == ("96x96", (len(hostile), 96, 96), (1, 96, 96))
        assert (array.dtype, array.metadata.dimension_names) == (np.float32, ("map", "y", "x"))
        assert (array.attrs["method"], array.attrs["units"]) == (method, UNITS)
        for values, told, row in zip(array[:], array.attrs["maps"], mine, strict=True):
            with np.load(ran / row["map"]) as saved:
                np.testing.assert_array_equal(values, saved["map"])
                assert told["box"] == saved["box"].tolist()
            assert told["image_size"] == [40, 28]
            assert (told["file"], told["target"]) == (row["file"], row["target"])
    # An export replaces what an export made, and nothing else.
    with pytest.raises(OptionError, match="overwrite"):
        write_zarr(ran, out)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "zarr.json").touch()
    with pytest.raises(OptionError, match="not made by an export to zarr"):
        write_zarr(ran, tmp_path / "mine", overwrite=True)
    assert write_zarr(ran, out, overwrite=True).counts == {"map": 8, "array": 2}
    assert sorted(each.name for each in tmp_path.iterdir()) == ["maps.zarr", "mine"]


def test_sizes_channels_and_zeros_have_arrays_of_their_own(ran, tmp_path, monkeypatch):
    place = {"box": np.zeros(4), "image_size": np.ones(2)}
    made = [np.full((2, 3), -0.0, np.float32), np.arange(6, dtype=np.float32).reshape(1, 2, 3), np.ones((3, 2))]
    drawn = iter([*made, made[0]] * 2)
    monkeypatch.setattr(exported, "load", lambda path, needed: (next(drawn), place))
    rows = [row for _, unit in ReadFolder(ran).units() for row in unit if row.get("map")]
    titled = [
        {**row, "method": "../a/b" if index < 3 else "..\\a_b", "file": "\udce9"} for index, row in enumerate(rows[:4])
    ]
    monkeypatch.setattr(ReadFolder, "units", lambda self: iter([("x", titled)]))
    write_zarr(ran, tmp_path / "z")
    root = zarr.open_group(tmp_path / "z", mode="r")
    groups = {group.attrs["method"]: group for _, group in root.groups()}
    assert set(groups) == {"../a/b", "..\\a_b"}
    first = groups["../a/b"]
    assert {name for name, _ in first.arrays()} == {"2x3", "1x2x3", "3x2"}
    assert np.signbit(first["2x3"][0]).all()
    np.testing.assert_array_equal(first["1x2x3"][0], made[1])
    assert first["1x2x3"].metadata.dimension_names == ("map", "channel", "y", "x")
    assert first["3x2"].attrs["maps"][0]["file"] == "\\udce9"


def test_what_cannot_be_exported_is_told_in_one_line(ran, folders, tmp_path, monkeypatch):
    with pytest.raises(DataError, match="explain evaluate; for Zarr give the folder that explain run wrote"):
        write_zarr(folders / "evaluate", tmp_path / "z")
    with monkeypatch.context() as patched:
        patched.setattr(ReadFolder, "units", lambda self: iter([]))
        with pytest.raises(DataError, match="--no-maps"):
            write_zarr(ran, tmp_path / "z")
        patched.setitem(sys.modules, "zarr", None)
        with pytest.raises(DependencyError, match=r"explainers\[zarr\]") as told:
            write_zarr(ran, tmp_path / "z")
    assert "\n" not in str(told.value)
    assert not list(tmp_path.iterdir())
