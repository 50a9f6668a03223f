"""Magnetograms by years, in the published layout."""

from __future__ import annotations

import numpy as np
import pytest

from explainers.data.sets import data_set, defn
from explainers.errors import DataError, ImageError


def name(year, hour):
    return f"{year}-06/hmi.M_720s.{year}0601_{hour:02d}5825.magnetogram.png"


@pytest.fixture
def root(tmp_path):
    """Four images of each year, of the flags 0, 1, 2, 3; image h of a year is filled with (year - 2010) * 4 + h."""
    for year in range(2010, 2018):
        values = np.arange(4, dtype=np.uint8) + 4 * (year - 2010)
        np.save(tmp_path / f"{year}.npy", np.broadcast_to(values[:, None, None], (4, 6, 5)))
        rows = [f"{name(year, hour)},{hour},{year}" for hour in range(4)]
        (tmp_path / f"{year}.csv").write_text("\n".join(["image,flag,year", *rows, ""]))
    return tmp_path


def test_years_are_the_splits_and_large_flares_the_class(root):
    data = data_set(f"defn:{root}")
    assert data.class_names == ("no-flare", "flare")
    assert data.train.names == tuple(name(year, hour) for year in range(2010, 2016) for hour in range(4))
    assert data.val.names == tuple(name(2016, hour) for hour in range(4))
    assert data.test.names == tuple(name(2017, hour) for hour in range(4))
    assert data.train.labels == (0, 0, 1, 1) * 6
    assert data.test.labels == (0, 0, 1, 1)
    assert data.notes == ("split by years: 2010–2015 train, 2016 val, 2017 test",)
    assert not data.masks


def test_an_image_is_its_row_of_its_year(root):
    data = data_set(f"defn:{root}")
    assert data.train.pixels(0).shape == (6, 5, 3)
    assert [int(data.train.pixels(index).max()) for index in range(24)] == list(range(24))
    pixels = data.test.pixels(2)  # 2017 is the eighth year: 7 * 4 + 2
    assert pixels.dtype == np.uint8
    assert (pixels == 30).all()
    assert data.test.mask(2) is None


def test_arrays_stay_on_the_disk(root):
    assert isinstance(defn._opened(root / "2010.npy"), np.memmap)
    assert type(data_set(f"defn:{root}").train.pixels(0)) is np.ndarray


def test_the_network_sees_one_channel_of_512(root):
    data = data_set(f"defn:{root}")
    image = data.preprocessing(np.full((512, 512, 3), 100, np.uint8))
    assert image.shape == (1, 512, 512)
    # (100 / 255 - .3625) / .2234 by hand; the luma weights sum to .9999
    assert float(image.mean()) == pytest.approx(0.1327, abs=3e-4)
    assert data.preprocessing(data.train.pixels(0)).shape == (1, 512, 512)


def test_the_folder_may_be_the_one_above(root, tmp_path_factory):
    above = tmp_path_factory.mktemp("datasets")
    (above / "magnetogram").symlink_to(root, target_is_directory=True)
    assert len(data_set(f"defn:{above}").train) == 24


def test_an_array_that_went_away_is_an_unreadable_image(root):
    data = data_set(f"defn:{root}")
    (root / "2016.npy").unlink()
    with pytest.raises(
        ImageError, match=r"cannot read 2016-06/hmi\.M_720s\.20160601_015825\.magnetogram\.png, row 1 of"
    ):
        data.val.pixels(1)


def lines(root, year, *rows):
    (root / f"{year}.csv").write_text("\n".join(rows) + "\n")


def pickled(root):
    np.save(root / "2010.npy", np.array([{}, {}, {}, {}], dtype=object), allow_pickle=True)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (
            lambda root: (root / "2013.npy").unlink(),
            "no file ROOT/2013.npy; expected (N, 512, 512) uint8 for each year 2010 … 2017",
        ),
        (
            lambda root: (root / "2017.csv").unlink(),
            "no file ROOT/2017.csv; expected a table with the columns image,flag; is ROOT/2016.csv meant?",
        ),
        (
            lambda root: lines(root, 2011, "name,flag", "a.png,0"),
            "ROOT/2011.csv, line 1: expected the columns image,flag, found name,flag",
        ),
        (
            lambda root: lines(root, 2011, "image,flag,year", "a.png,0,2011", "b.png,M,2011"),
            "ROOT/2011.csv, line 3, column flag: expected 0, 1, 2 or 3 (O, C, M, X), found 'M'",
        ),
        (
            lambda root: lines(root, 2011, "image,flag,year", "a.png"),
            "ROOT/2011.csv, line 2, column flag: expected 0, 1, 2 or 3 (O, C, M, X), found ''",
        ),
        (
            lambda root: lines(root, 2011, "image,flag,year", "a.png,0,2011", "a.png,1,2011"),
            "ROOT/2011.csv, line 3, column image: expected a name that no other line has, found 'a.png'",
        ),
        (
            lambda root: lines(root, 2011, "image,flag,year", "a.png,0,2011"),
            "ROOT/2011.npy has 4 images and ROOT/2011.csv 1 rows; expected one row per image, in the array's order",
        ),
        (
            lambda root: np.save(root / "2012.npy", np.zeros((4, 1, 6, 5), np.uint8)),
            "ROOT/2012.npy holds uint8 of shape (4, 1, 6, 5); expected uint8 of shape (N, 512, 512)",
        ),
        (
            lambda root: np.save(root / "2012.npy", np.zeros((4, 6, 5))),
            "ROOT/2012.npy holds float64 of shape (4, 6, 5); expected uint8 of shape (N, 512, 512)",
        ),
    ],
)
def test_what_is_wrong_is_named(root, harm, message):
    harm(root)
    with pytest.raises(DataError) as caught:
        data_set(f"defn:{root}")
    assert str(caught.value).replace(str(root), "ROOT") == message


@pytest.mark.parametrize("harm", [pickled, lambda root: (root / "2010.npy").write_bytes(b"no array")])
def test_what_is_no_array_of_numbers_is_not_loaded(root, harm):
    harm(root)
    with pytest.raises(DataError, match=r"2010\.npy cannot be read as an array of numbers"):
        data_set(f"defn:{root}")
