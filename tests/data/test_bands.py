"""TIFF files of many bands: their values, the picture made of some of them, what is said, and what is refused."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import torch
from PIL import Image

from explainers.core.preprocessing import Preprocessing
from explainers.data.images import as_photo, read_image
from explainers.errors import ExplainersError, ImageError, OptionError

tifffile = pytest.importorskip("tifffile")
KINDS = ["uint8", "uint16", "int16", "uint32", "int32", "float32", "float64"]
VALUES = np.random.default_rng(0).integers(0, 200, (37, 45, 13))


def written(path, values, **options):
    options = {"photometric": "minisblack", "planarconfig": "contig", "metadata": None} | options
    tifffile.imwrite(path, values, **options)
    return path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize(
    "form",
    [{}, {"compression": "zlib"}, {"tile": (16, 32)}, {"tile": (16, 32), "compression": "zlib"}, {"rowsperstrip": 5}],
    ids=str,
)
def test_values_of_bands_are_those_written(tmp_path, kind, planar, form):
    for bands, order, big in ((13, "<", False), (4, ">", True), (2, ">", False)):
        values = VALUES[..., :bands].astype(kind)
        laid = values if planar == "contig" else values.transpose(2, 0, 1)
        path = written(tmp_path / "a.tif", laid, planarconfig=planar, byteorder=order, bigtiff=big, **form)
        photo = read_image(path, values=True)
        assert photo.bands.dtype == values.dtype
        assert np.array_equal(photo.bands, values)
        assert photo.input is photo.bands
        assert photo.notes[0] == f"{bands} bands of {kind} were read"


def test_pages_of_one_band_each_are_bands(tmp_path):
    path = written(tmp_path / "a.tif", VALUES.transpose(2, 0, 1).astype("uint16"), planarconfig=None)
    photo = read_image(path, values=True)
    assert np.array_equal(photo.bands, VALUES)
    assert photo.notes[0] == "13 pages were read as 13 bands of uint16"
    with tifffile.TiffWriter(tmp_path / "b.tif") as file:
        file.write(VALUES[..., 0].astype("uint16"), photometric="minisblack")
        file.write(VALUES[..., 0].astype("uint8"), photometric="minisblack")
    with pytest.raises(ImageError, match="b.tif has 2 pages that are not one band each"):
        read_image(tmp_path / "b.tif", values=True)


def assembled(strip: bytes, values: np.ndarray, **tags: int) -> bytes:
    """A TIFF file of one strip and these tags, written out by hand."""
    (height, width, bands), form = values.shape, {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    known = {"width": 256, "height": 257, "bits": 258, "compression": 259, "photometric": 262, "offset": 273,
             "samples": 277, "rows": 278, "bytes": 279, "predictor": 317, "form": 339}  # fmt: skip
    tags = {"width": width, "height": height, "bits": 8 * values.dtype.itemsize, "compression": 1, "photometric": 1,
            "offset": 8 + 2 + 12 * 11 + 4, "samples": bands, "rows": height, "bytes": len(strip), "predictor": 1,
            "form": form} | tags  # fmt: skip
    entries = [struct.pack("<HHII", known[name], 4, 1, value) for name, value in tags.items()]
    return struct.pack("<4sIH", b"II*\0", 8, len(tags)) + b"".join(entries) + struct.pack("<I", 0) + strip


@pytest.mark.parametrize(("name", "number"), [("tiff_lzw", 5), ("packbits", 32773)])
def test_lzw_and_packbits(tmp_path, name, number):
    """What Pillow writes of a gray picture as wide as all bands is the strip of the bands."""
    values, file = VALUES.astype(np.uint8), io.BytesIO()
    Image.fromarray(values.reshape(len(values), -1)).save(file, "TIFF", compression=name)
    with Image.open(file) as image:
        (at,), (size,) = image.tag_v2[273], image.tag_v2[279]
    strip = file.getvalue()[at : at + size]
    (tmp_path / "a.tif").write_bytes(assembled(strip, values, compression=number))
    assert np.array_equal(read_image(tmp_path / "a.tif", values=True).bands, values)


@pytest.mark.parametrize("kind", ["uint8", "int16", "uint32", "float32"])
def test_differences_of_neighbours_are_summed_band_by_band(tmp_path, kind):
    """Predictor 2: of each value the one before it in its band is taken away, as unsigned integers."""
    values = (VALUES - 90 if kind in ("int16", "float32") else VALUES).astype(kind)
    words = values.view(f"u{values.dtype.itemsize}")
    stored = words.copy()
    for column in range(1, words.shape[1]):
        stored[:, column] = words[:, column] - words[:, column - 1]
    (tmp_path / "a.tif").write_bytes(assembled(stored.tobytes(), values, predictor=2))
    assert np.array_equal(read_image(tmp_path / "a.tif", values=True).bands, values)


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_differences_of_the_bytes_of_floats(tmp_path, kind):
    """Predictor 3 (Adobe Photoshop TIFF technical note 3): a row's bytes, highest first, plane by plane, differenced
    with the number of bands between."""
    values = (VALUES / 7 - 9).astype(kind)
    stored = bytearray()
    for row in values:
        flat = [struct.pack(">f" if kind == "float32" else ">d", each) for each in row.ravel()]
        planes = [each[byte] for byte in range(values.dtype.itemsize) for each in flat]
        stored += bytes((b - (planes[i - 13] if i >= 13 else 0)) % 256 for i, b in enumerate(planes))
    (tmp_path / "a.tif").write_bytes(assembled(bytes(stored), values, predictor=3))
    assert np.array_equal(read_image(tmp_path / "a.tif", values=True).bands, values)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_bands_are_turned_upright(tmp_path, orientation):
    path = written(tmp_path / "a.tif", VALUES.astype("uint16"), extratags=[(274, 3, 1, orientation, True)])
    turned = np.rot90(VALUES, {1: 0, 3: 2, 6: 3, 8: 1}[orientation])
    assert np.array_equal(read_image(path, values=True).bands, turned)


def test_the_picture_is_made_of_the_bands_that_are_named(tmp_path):
    path = written(tmp_path / "a.tif", VALUES.astype("uint8"))
    photo = read_image(path, picture=(4, 3, 2))
    assert np.array_equal(photo.pixels, VALUES[..., [3, 2, 1]])
    assert photo.bands is None
    assert photo.notes == ("13 bands of uint8 were read", "the picture shows bands 4, 3, 2")
    gray = read_image(path, picture=(8,)).pixels
    assert np.array_equal(gray, np.stack([VALUES[..., 7]] * 3, axis=2))
    assert np.array_equal(read_image(path, values=True).pixels, VALUES[..., :3])
    with pytest.raises(ImageError, match=r"a.tif has 13 bands; there is no band 14 for its picture"):
        read_image(path, picture=(14, 3, 2))


def test_a_picture_of_deep_bands_is_stretched_or_has_the_white_that_is_said(tmp_path):
    deep = VALUES.astype("uint16") * 10 + 300
    path = written(tmp_path / "a.tif", deep)
    low, high = np.percentile(deep[..., [3, 2, 1]], (2, 98))
    photo = read_image(path, picture=(4, 3, 2))
    expected = np.round(((deep[..., [3, 2, 1]] - low) / (high - low)).clip(0, 1) * 255)
    assert np.abs(photo.pixels - expected).max() <= 1
    assert photo.notes[-1] == f"the picture shows bands 4, 3, 2 from {low:.6g} (black) to {high:.6g} (white)"
    said = read_image(path, picture=(4, 3, 2), white=2000.0)
    assert np.abs(said.pixels - np.round((deep[..., [3, 2, 1]] / 2000).clip(0, 1) * 255)).max() <= 1


@pytest.mark.parametrize(("kind", "white", "one"), [("uint8", None, 255), ("uint16", None, 65535),
                                                    ("int16", None, 32767), ("float32", None, 1),
                                                    ("uint16", 10000.0, 10000)])  # fmt: skip
def test_a_network_gets_the_values_unrounded(kind, white, one):
    values = VALUES.astype(kind)
    mean, std = tuple(np.linspace(0, 1, 13)), tuple(np.linspace(1, 2, 13))
    found = Preprocessing(channels=13, mean=mean, std=std, white=white)(values)
    expected = (values.transpose(2, 0, 1) / one - np.array(mean)[:, None, None]) / np.array(std)[:, None, None]
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-6)
    three = Preprocessing(channels=3, bands=(8, 1, 13), white=white)(values)
    np.testing.assert_allclose(three.numpy(), values.transpose(2, 0, 1)[[7, 0, 12]] / one, rtol=1e-6)
    small = Preprocessing((10, 12), channels=13, white=white)(values)
    whole = torch.from_numpy(values.transpose(2, 0, 1) / one).float()
    resized = torch.nn.functional.interpolate(whole[None], (10, 12), mode="bilinear", antialias=True)[0]
    torch.testing.assert_close(small, resized)


def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(ImageError, match=r"there are 13 bands, and the network takes 10 channels; name those"):
        Preprocessing(channels=10)(VALUES.astype("uint8"))
    with pytest.raises(ImageError, match=r"there are 13 bands, and no band 14"):
        Preprocessing(channels=1, bands=(14,))(VALUES.astype("uint8"))
    for bad, said in (
        ({"channels": 0}, "channels=0"),
        ({"bands": (1, 2)}, r"bands=\(1, 2\) are 2, and channels=3"),
        ({"picture": (1, 2)}, "three bands"),
        ({"picture": (0, 1, 2)}, "counted from 1"),
        ({"white": 0.0}, "white=0.0"),
    ):
        with pytest.raises(OptionError, match=said):
            Preprocessing(**bad)
    Image.fromarray(VALUES[..., :3].astype(np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match=r"a.png is no TIFF file; the network takes the bands of one"):
        read_image(tmp_path / "a.png", values=True)
    assert "bands and their white do not concern it" in read_image(tmp_path / "a.png", picture=(3, 2, 1)).notes[-1]
    bad = VALUES.astype("float32")
    bad[3, 4, 5] = np.nan
    with pytest.raises(ImageError, match=r"b.tif: 1 of 21,645 values are NaN or infinite; fill them first"):
        read_image(written(tmp_path / "b.tif", bad), values=True)
    small = VALUES.astype("uint8")
    for tags, said in (
        ({"predictor": 3}, "uint8 with predictor 3"),
        ({"compression": 7}, "compressed by JPEG"),
        ({"photometric": 0}, "of colour space 0"),
        ({"bits": 12}, "of 12 bits in sample format 1"),
        ({"bytes": 0}, r"with blocks that were never written \(a sparse file\)"),
    ):
        (tmp_path / "c.tif").write_bytes(assembled(small.tobytes(), small, **tags))
        with pytest.raises(ImageError, match=f"c.tif has bands {said}, which are not read; write them as"):
            read_image(tmp_path / "c.tif", values=True)


def test_values_that_the_file_calls_missing_are_told(tmp_path):
    values = VALUES.astype("int16")
    values[:4] = -9999
    path = written(tmp_path / "a.tif", values, extratags=[(42113, 2, 6, "-9999", True)])
    assert (
        "0.11 of the values are -9999, which the file calls missing; taken as they are"
        in read_image(path, values=True).notes
    )


def test_arrays_of_bands_in_a_notebook():
    values = VALUES.astype("uint16")
    with pytest.warns(UserWarning, match=r"the array: the picture shows bands 4, 3, 2 from"):
        photo = as_photo(values, picture=(4, 3, 2), values=True)
    assert photo.bands is values
    with pytest.raises(ImageError, match="the network takes bands: expected a TIFF file or an array"):
        as_photo(Image.new("RGB", (4, 4)), values=True)
    with pytest.warns(UserWarning, match="the PIL image: no TIFF file: bands and their white do not concern it"):
        as_photo(Image.new("RGB", (4, 4)), white=100.0)
    with pytest.warns(UserWarning, match=r"bands 1, 2, 3 from 0 \(black\) to 100 \(white\)"):
        assert as_photo(np.full((4, 4, 3), 50, np.uint8), white=100.0).pixels.tolist()[0][0] == [128] * 3


def test_damaged_bands_cost_their_file_alone(tmp_path):
    """Truncated and changed at random: an error of this package, never a traceback, never a gigabyte."""
    rng = np.random.default_rng(0)
    forms = [{"compression": "zlib"}, {"tile": (16, 16)}, {"planarconfig": "separate"}]
    for number in range(180):
        options = forms[number % 3]
        values = VALUES[..., :5].astype("uint16")
        laid = values.transpose(2, 0, 1) if "planarconfig" in options else values
        file = io.BytesIO()
        written(file, laid, **options)
        data = bytearray(file.getvalue())
        if number % 2:
            del data[rng.integers(8, len(data)) :]
        else:
            for place in rng.integers(4, 400 if number % 4 else len(data), 6):
                data[place] = rng.integers(0, 256)
        (tmp_path / "a.tif").write_bytes(data)
        try:
            photo = read_image(tmp_path / "a.tif", values=True, picture=(3, 2, 1))
        except ExplainersError:
            continue
        assert photo.bands.nbytes <= 1 << 30
