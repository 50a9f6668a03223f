"""Regions of maps as COCO annotations: read back by COCO's own library, where the maps say they lie."""

from __future__ import annotations

import json

import numpy as np
import pytest
from explainers.cli.main import main
from skimage.filters import threshold_otsu

import explainers
from explainers.errors import DataError, OptionError
from explainers.run import MethodCall, RunOptions, run
from explainers.run.regions import box_of, largest_part, region_of, run_lengths, write_regions
from explainers.run.report.maps import RawMap, read_map

mask = pytest.importorskip("pycocotools.mask")


def raw(full, box, size):
    return RawMap(full, full, box, size)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A run over three digits by two methods."""
    out = tmp_path_factory.mktemp("run") / "out"
    from explainers.data.samples import sample_images

    loaded = explainers.load_model("embedded")
    run(
        sample_images()[:3],
        loaded,
        [MethodCall("grad-cam"), MethodCall("saliency")],
        out,
        options=RunOptions(overlays=False),
    )
    return out


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1), (5, 8), (13, 11)])
def test_run_lengths_are_those_of_coco(shape):
    rng = np.random.default_rng(0)
    for region in (rng.random(shape) > 0.5, np.ones(shape, bool), rng.random(shape) > 0.9):
        counts = run_lengths(region)
        assert sum(counts) == region.size
        coded = mask.frPyObjects({"size": list(shape), "counts": counts}, *shape)
        np.testing.assert_array_equal(mask.decode(coded), region)
        if region.any():
            np.testing.assert_array_equal(mask.toBbox(coded), box_of(region))


def test_a_region_lies_where_its_map_lies_in_the_photo():
    full = np.zeros((4, 4), np.float32)
    full[1, 2] = 1
    region = region_of(raw(full, (10, 20, 18, 28), (30, 40)), 0.49)
    rows, columns = np.nonzero(region)
    assert (rows.min() >= 10, rows.max() < 18, columns.min() >= 20, columns.max() < 28) == (True,) * 4
    assert abs(rows.mean() - (10 + 2 * 1.5 - 0.5)) < 0.01  # the centre of the map's pixel (1, 2), of 2 × 2 of the photo
    assert abs(columns.mean() - (20 + 2 * 2.5 - 0.5)) < 0.01
    # A crop that reaches beyond the photo is cut, not shifted.
    outside = region_of(raw(full, (-8, -8, 8, 8), (6, 7)), 0.0)
    whole = region_of(raw(full, (0, 0, 16, 16), (16, 16)), 0.0)
    np.testing.assert_array_equal(outside, whole[8:14, 8:15])


def test_thresholds_by_hand():
    full = np.random.default_rng(0).random((9, 8)).astype(np.float32) ** 3
    whole = raw(full, (0, 0, 9, 8), (9, 8))
    np.testing.assert_array_equal(region_of(whole, "mean"), full > full.astype(float).mean())
    scaled = (full - full.min()) / np.ptp(full)
    np.testing.assert_array_equal(region_of(whole, 0.25), scaled > 0.25)
    spread = scaled.astype(float)
    np.testing.assert_array_equal(region_of(whole, "mean+std"), spread > spread.mean() + spread.std())
    difference = region_of(whole, "otsu") != (scaled > threshold_otsu(scaled))
    assert difference.sum() <= 1  # scikit-image cuts in the middle of a bin
    assert not region_of(raw(np.ones((9, 8), np.float32), (0, 0, 9, 8), (9, 8)), "otsu").any()


def test_the_largest_part_touches_at_corners_too():
    region = np.zeros((6, 6), bool)
    region[0, 0] = region[1, 1] = region[2, 2] = True
    region[4, 5] = region[5, 5] = True
    np.testing.assert_array_equal(np.argwhere(largest_part(region)), [[0, 0], [1, 1], [2, 2]])
    assert not largest_part(np.zeros((3, 3), bool)).any()


def test_the_file_of_a_run_is_read_by_coco(done, tmp_path):
    coco = pytest.importorskip("pycocotools.coco")
    found = write_regions(done, tmp_path / "regions.json", threshold="otsu", largest=True)
    assert (found.images, found.regions, found.empty) == (3, 6, ())
    read = coco.COCO(str(found.path))
    for annotation in read.loadAnns(read.getAnnIds()):
        image = read.loadImgs(annotation["image_id"])[0]
        region = read.annToMask(annotation).astype(bool)
        assert region.shape == (image["height"], image["width"])
        assert annotation["area"] == region.sum()
        assert annotation["bbox"] == box_of(region)
        stem = image["file_name"].rpartition(".")[0]
        path = next(path for path in done.glob("maps/*.npz") if stem in path.name and annotation["method"] in path.name)
        np.testing.assert_array_equal(region, region_of(read_map(path), "otsu", largest=True))
    names = {each["name"] for each in read.loadCats(read.getCatIds())}
    assert names <= set(explainers.load_model("embedded").class_names)
    assert json.loads(found.path.read_text())["info"]["threshold"] == "otsu"


def test_the_command_writes_counts_and_refuses(done, tmp_path, capsys):
    assert main(["regions", str(done), "--threshold", "0.6", "-m", "grad-cam", "--out", str(tmp_path / "r.json")]) == 0
    assert "3 regions in 3 images" in capsys.readouterr().out
    assert {each["method"] for each in json.loads((tmp_path / "r.json").read_text())["annotations"]} == {"grad-cam"}
    for wrong, told in ((["--threshold", "1.5"], "1.5"), (["-m", "rise"], "no method 'rise'")):
        assert main(["regions", str(done), *wrong]) == 2
        assert told in capsys.readouterr().err
    assert main(["regions", str(tmp_path)]) == 2
    assert "holds nothing of explain" in capsys.readouterr().err


def test_a_map_that_points_out_nothing_or_is_gone_is_told(done, tmp_path, capsys):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(done, copy)
    victims = sorted(copy.glob("maps/*.npz"))
    victims[0].unlink()
    with np.load(victims[1]) as saved:
        arrays = {name: saved[name] for name in saved.files}
    np.savez(victims[1], **{**arrays, "map": np.zeros_like(arrays["map"])})
    assert main(["regions", str(copy)]) == 1
    told = capsys.readouterr()
    assert "is no longer there" in told.err
    assert "points out nothing" in told.err
    assert "4 regions" in told.out


def test_other_folders_and_options_are_refused(done, tmp_path):
    with pytest.raises(OptionError, match="expected otsu|threshold="):
        write_regions(done, threshold="most")
    with pytest.raises(OptionError):
        write_regions(done, threshold=True)
    with pytest.raises(DataError):
        write_regions(tmp_path)
