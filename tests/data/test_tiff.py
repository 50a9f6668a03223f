"""TIFF files of several pages, bands and depths: a picture that is known to be one, or a refusal."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from explainers.data.images import as_pixels, read_image
from explainers.errors import ImageError

tifffile = pytest.importorskip("tifffile")
VALUES = np.random.default_rng(0).integers(0, 256, (8, 9, 13), dtype=np.uint8)
CONTIG = {"photometric": "minisblack", "planarconfig": "contig"}


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize(
    ("values", "options", "what"),
    [
        (VALUES, CONTIG, "13 bands"),
        (VALUES.astype(np.uint16), CONTIG, "13 bands"),
        (VALUES[..., :2], CONTIG, "2 bands"),
        (VALUES[..., :4], CONTIG, "4 bands"),
        (VALUES.transpose(2, 0, 1), CONTIG | {"planarconfig": "separate"}, "13 bands"),
        (VALUES[..., :6], {"photometric": "rgb", "planarconfig": "contig"}, "6 bands"),
        (VALUES.transpose(2, 0, 1), {"photometric": "minisblack"}, "13 pages"),
        (np.stack([VALUES[..., :3]] * 2), {"photometric": "rgb"}, "2 pages"),
    ],
)
def test_bands_and_pages_are_refused(tmp_path, values, options, what, byteorder, bigtiff):
    tifffile.imwrite(tmp_path / "a.tif", values, byteorder=byteorder, bigtiff=bigtiff, **options)
    with pytest.raises(ImageError, match=f"a.tif has {what}.*pass tensors"):
        read_image(tmp_path / "a.tif")


def test_rgb_with_a_fourth_band_that_is_no_transparency(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", VALUES[..., :4], photometric="rgb", extrasamples=["unspecified"])
    photo = read_image(tmp_path / "a.tif")
    assert np.array_equal(photo.pixels, VALUES[..., :3])
    assert photo.notes == ("the first 3 of 4 bands were read as RGB; the fourth is not marked as transparency",)


def test_gray_with_alpha_lies_on_white(tmp_path):
    gray = np.stack([np.full((4, 5), 100, np.uint8), np.full((4, 5), 51, np.uint8)], axis=2)
    tifffile.imwrite(tmp_path / "a.tif", gray, extrasamples=["unassalpha"], **CONTIG)
    photo = read_image(tmp_path / "a.tif")
    assert np.abs(photo.pixels.astype(int) - (100 * 0.2 + 255 * 0.8)).max() <= 1
    assert "transparency composited on white" in photo.notes


def test_cmyk_is_no_picture_with_alpha(tmp_path):
    Image.new("CMYK", (5, 4), (0, 255, 255, 0)).save(tmp_path / "a.tif")
    pixels = read_image(tmp_path / "a.tif").pixels
    assert (pixels[..., 0] > 200).all()
    assert (pixels[..., 1:] < 60).all()


def test_smaller_copies_do_not_count(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(VALUES[..., :3], photometric="rgb")
        file.write(VALUES[::2, ::2, :3], photometric="rgb", subfiletype=1)
    photo = read_image(tmp_path / "a.tif")
    assert np.array_equal(photo.pixels, VALUES[..., :3])
    assert photo.notes == ("first of 2 pages, the others are smaller",)


@pytest.mark.parametrize("channels", [None, 3])
@pytest.mark.parametrize(("bits", "highest"), [(8, 255), (10, 1000), (12, 4000), (14, 10_000), (16, 60_000)])
@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_bits_that_are_not_used_do_not_make_black(tmp_path, bits, highest, channels, suffix):
    deep = np.linspace(0, highest, 72).round().astype(np.uint16).reshape(8, 9)
    raw = deep if channels is None else np.stack([deep, deep // 2, deep], axis=2)
    if suffix == "tif":
        tifffile.imwrite(tmp_path / "a.tif", raw, photometric="minisblack" if channels is None else "rgb")
    else:
        import cv2

        cv2.imwrite(str(tmp_path / "a.png"), raw if channels is None else raw[..., ::-1])
    photo = read_image(tmp_path / f"a.{suffix}")
    assert np.array_equal(photo.pixels[..., 0], np.round(deep / (2**bits - 1) * 255))
    if channels:
        assert np.array_equal(photo.pixels[..., 1], np.round((deep // 2) / (2**bits - 1) * 255))
    said = f"16-bit values up to {highest:,} were read as {bits} bits: white is {2**bits - 1:,}"
    assert photo.notes == (() if bits == 16 else (said,))


def test_white_may_be_zero(tmp_path):
    for kind, white in ((np.uint8, 255), (np.uint16, 4095)):
        ramp = np.linspace(0, white, 72).round().astype(kind).reshape(8, 9)
        tifffile.imwrite(tmp_path / "a.tif", ramp, photometric="miniswhite")
        found = read_image(tmp_path / "a.tif").pixels[..., 1]
        assert np.array_equal(found, np.round((white - ramp.astype(float)) / white * 255))


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.uint32, np.float32, np.float64])
def test_values_without_a_white_of_their_own_are_stretched_and_said_so(tmp_path, kind):
    ramp = np.linspace(10, 3010, 72).round().reshape(8, 9)
    tifffile.imwrite(tmp_path / "a.tif", ramp.astype(kind), photometric="minisblack")
    photo = read_image(tmp_path / "a.tif")
    assert np.array_equal(photo.pixels[..., 2], np.round((ramp - 10) / 3000 * 255))
    assert photo.notes == ("values 10 … 3010 were stretched: the lowest is black, the highest white",)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["gray 8", "gray 16", "RGB 16", "RGBA 8"])
def test_every_form_is_turned_upright_once(tmp_path, form, orientation):
    ramp = np.linspace(0, 255, 72).round().astype(np.uint8).reshape(8, 9)
    values = ramp if "8" in form else ramp.astype(np.uint16) * 257
    if "RGB" in form:
        values = np.stack([values] * 3 + [np.full_like(ramp, 255)] * ("A" in form), axis=2)
    kind = {"photometric": "rgb" if "RGB" in form else "minisblack"}
    kind |= {"extrasamples": ["unassalpha"]} if "A" in form else {}
    tifffile.imwrite(tmp_path / "a.tif", values, extratags=[(274, 3, 1, orientation, True)], **kind)
    turned = {
        1: ramp, 2: ramp[:, ::-1], 3: ramp[::-1, ::-1], 4: ramp[::-1],
        5: ramp.T, 6: ramp.T[:, ::-1], 7: ramp.T[::-1, ::-1], 8: ramp.T[::-1],
    }  # fmt: skip
    assert np.array_equal(read_image(tmp_path / "a.tif").pixels[..., 1], turned[orientation])


def test_what_was_assumed_is_said_in_a_notebook_too(tmp_path):
    deep = np.linspace(0, 4000, 72).round().astype(np.uint16).reshape(8, 9)
    tifffile.imwrite(tmp_path / "a.tif", deep, photometric="minisblack")
    with pytest.warns(UserWarning, match=r"a.tif: 16-bit values up to 4,000 were read as 12 bits"):
        from_file = as_pixels(tmp_path / "a.tif")
    with pytest.warns(UserWarning, match="the PIL image: 16-bit values up to 4,000"):
        assert np.array_equal(as_pixels(Image.fromarray(deep)), from_file)


def test_damaged_tags_are_refused(tmp_path):
    file = io.BytesIO()
    tifffile.imwrite(file, VALUES[..., :3], photometric="rgb")
    data = file.getvalue()
    circle = bytearray(data)
    at = int.from_bytes(data[4:8], "little")
    count = int.from_bytes(data[at : at + 2], "little")
    circle[at + 2 + 12 * count : at + 6 + 12 * count] = data[4:8]
    for bad in (bytes(circle), data[:6], data[:4] + b"\xff\xff\xff\x7f" + data[8:], b"MM\0*" + b"\0" * 60):
        (tmp_path / "a.tif").write_bytes(bad)
        with pytest.raises(ImageError, match="a.tif is damaged: its TIFF tags"):
            read_image(tmp_path / "a.tif")
