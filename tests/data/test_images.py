"""Image files as people have them: real files of every kind, whole and broken."""

from __future__ import annotations

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from explainers.data.images import as_pixels, find_images, opencv, read_image, write_image
from explainers.errors import DependencyError, ImageError, WriteError


@pytest.fixture
def picture() -> np.ndarray:
    """(12, 20, 3): four flat quarters, so that JPEG and colour conversions stay close."""
    pixels = np.zeros((12, 20, 3), np.uint8)
    pixels[:6, :10], pixels[:6, 10:], pixels[6:, :10] = (200, 40, 30), (30, 180, 60), (40, 60, 210)
    pixels[6:, 10:] = (128, 128, 128)
    return pixels


def saved(path, pixels, mode=None, **options):
    image = Image.fromarray(pixels)
    (image.convert(mode, palette=Image.Palette.ADAPTIVE) if mode else image).save(path, **options)
    return path


@pytest.mark.parametrize(
    ("name", "mode", "tolerance"),
    [
        ("a.png", None, 0),
        ("a.jpg", None, 12),
        ("a.webp", None, 14),
        ("a.bmp", None, 0),
        ("a.tiff", None, 0),
        ("a.gif", None, 3),
        ("palette.png", "P", 3),
        ("alpha.png", "RGBA", 0),
        ("cmyk.jpg", "CMYK", 14),
        ("a.ppm", None, 0),
    ],
)
def test_formats_are_read_as_rgb(tmp_path, picture, name, mode, tolerance):
    options = {"quality": 98, "subsampling": 0} if name.endswith("jpg") else {"quality": 98} if "webp" in name else {}
    photo = read_image(saved(tmp_path / name, picture, mode, **options))
    assert photo.pixels.shape == (12, 20, 3)
    assert photo.pixels.dtype == np.uint8
    centre = photo.pixels[[3, 3, 9, 9], [5, 15, 5, 15]].astype(int)
    assert np.abs(centre - picture[[3, 3, 9, 9], [5, 15, 5, 15]]).max() <= tolerance


def test_gray_and_sixteen_bits_and_floats(tmp_path):
    gray = np.tile(np.arange(0, 250, 10, dtype=np.uint8), (5, 1))
    assert np.array_equal(read_image(saved(tmp_path / "g.png", gray)).pixels[:, :, 1], gray)
    deep = gray.astype(np.uint16) * 257
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert np.abs(read_image(tmp_path / "deep.png").pixels[:, :, 0].astype(int) - gray).max() <= 1
    Image.fromarray(gray.astype(np.float32) / 255).save(tmp_path / "float.tiff")
    assert np.abs(read_image(tmp_path / "float.tiff").pixels[:, :, 2].astype(int) - gray).max() <= 1


def test_transparency_is_composited_on_white(tmp_path):
    pixels = np.zeros((4, 6, 4), np.uint8)
    pixels[:, :3] = (255, 0, 0, 255)
    pixels[:, 3:] = (0, 0, 0, 102)
    photo = read_image(saved(tmp_path / "a.png", pixels))
    assert photo.pixels[0, 0].tolist() == [255, 0, 0]
    assert photo.pixels[0, 5].tolist() == [153, 153, 153]
    assert photo.notes == ("transparency composited on white",)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tiff", "alpha.png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(tmp_path, picture, name, orientation):
    image = Image.fromarray(picture)
    if name == "alpha.png":
        image = image.convert("RGBA")
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 98} if name[-3:] in ("jpg", "ebp") else {}
    image.save(tmp_path / name, exif=exif, **options)
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    expected = Image.fromarray(picture)
    expected = np.asarray(expected.transpose(undo[orientation]) if orientation in undo else expected)
    found = read_image(tmp_path / name).pixels
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < 12


def test_animations_give_their_first_frame_and_say_so(tmp_path, picture):
    frames = [Image.fromarray(picture), Image.fromarray(255 - picture)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    photo = read_image(tmp_path / "a.gif")
    assert "first of 2 frames" in photo.notes
    assert np.abs(photo.pixels[3, 5].astype(int) - picture[3, 5]).max() <= 4


def damaged(tmp_path, picture):
    jpeg = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(jpeg, "JPEG")
    png = io.BytesIO()
    Image.fromarray(noise).save(png, "PNG")
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + header
    bomb += struct.pack(">I", zlib.crc32(b"IHDR" + header)) + struct.pack(">I", 0) + b"IEND\xaeB`\x82"
    return {
        "empty.jpg": (b"", r"is empty \(0 bytes\)"),
        "text.jpg": (b"this is no picture at all", r"is not an image \(it is text\)"),
        "page.png": (b"<!DOCTYPE html><html></html>", "begins like HTML"),
        "random.png": (bytes(range(256)), "is not an image"),
        "short.jpg": (jpeg.getvalue()[: len(jpeg.getvalue()) // 2], "the JPEG ends before its picture does"),
        "short.png": (png.getvalue()[: len(png.getvalue()) // 2], "damaged"),
        "bomb.png": (bomb, "has 50000 × 50000 pixels, more than the limit of 100,000,000"),
    }


@pytest.mark.parametrize(
    "name", ["empty.jpg", "text.jpg", "page.png", "random.png", "short.jpg", "short.png", "bomb.png"]
)
def test_broken_files_are_refused_with_their_reason(tmp_path, picture, name):
    data, message = damaged(tmp_path, picture)[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ImageError, match=message):
        read_image(tmp_path / name)


def test_folders_called_like_images_and_missing_files_are_refused(tmp_path):
    (tmp_path / "x.png").mkdir()
    with pytest.raises(ImageError, match="is a folder, not an image"):
        read_image(tmp_path / "x.png")
    with pytest.raises(ImageError, match="no file .*none.png"):
        read_image(tmp_path / "none.png")
    with pytest.raises(ImageError, match="no file or folder"):
        find_images(tmp_path / "nowhere")
    (tmp_path / "bare").mkdir()
    with pytest.raises(ImageError, match=r"no images below .*\.jpeg"):
        find_images(tmp_path / "bare")


def test_folders_are_searched_sorted_without_dot_files_and_links_are_followed_once(tmp_path, picture):
    for name in ("b.png", "a.JPG", "sub/ü ñ 日本.png", "sub/.hidden.png", ".dot/x.png", "x.png/inside.png", "note.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "sub" / "loop").symlink_to(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "sub")
    names = [image.name for image in find_images(tmp_path)]
    assert names == sorted(names)
    assert {"a.JPG", "b.png", "x.png", "x.png/inside.png"} < set(names)
    assert sum(name.endswith("日本.png") for name in names) == 1
    assert not any("hidden" in name or "dot" in name for name in names)


def test_names_that_are_no_utf8_can_be_read_and_written(tmp_path, picture):
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9.png")
    name = os.fsdecode(path)
    write_image(name, picture)
    assert np.array_equal(read_image(name).pixels, picture)
    assert [image.path.name.encode("utf-8", "surrogateescape") for image in find_images(tmp_path)] == [b"caf\xe9.png"]
    with pytest.raises(ImageError, match=r"caf\\udce9.png has 12 × 20|caf\\udce9.png has 20 × 12"):
        read_image(name, max_pixels=10)


def test_writing_is_all_or_nothing(tmp_path, picture, monkeypatch):
    write_image(tmp_path / "deep" / "a.png", picture)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "deep" / "a.png")), picture)
    write_image(tmp_path / "mask.png", picture[:, :, 0])
    assert np.array_equal(np.asarray(Image.open(tmp_path / "mask.png")), picture[:, :, 0])

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(WriteError, match="No space left on device"):
        write_image(tmp_path / "b.png", picture)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "mask.png"]
    with pytest.raises(ImageError, match="must end in"):
        write_image(tmp_path / "a.xyz", picture)


def test_arrays_and_pil_images_become_pixels(picture):
    assert np.array_equal(as_pixels(picture), picture)
    assert np.array_equal(as_pixels(Image.fromarray(picture)), picture)
    assert np.array_equal(as_pixels(picture.astype(np.float64) / 255), picture)
    assert np.array_equal(as_pixels(picture[:, :, 0])[:, :, 2], picture[:, :, 0])
    for wrong, message in (
        (picture.astype(np.float32), "divide it by 255"),
        (picture.astype(np.int64), "got int64"),
        (picture.transpose(2, 0, 1), r"expected an array of shape \(H, W, 3\)"),
        (3, "got int"),
    ):
        with pytest.raises(ImageError, match=message):
            as_pixels(wrong)


def test_a_missing_display_library_names_the_way_out(monkeypatch):
    import builtins

    real = builtins.__import__

    def broken(name, *rest):
        if name == "cv2":
            raise ImportError("libGL.so.1: cannot open shared object file")
        return real(name, *rest)

    opencv.cache_clear()
    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(DependencyError, match="libGL.so.1.*opencv-python-headless"):
        opencv()
    monkeypatch.undo()
    opencv.cache_clear()


def test_a_png_with_damaged_remarks_is_read_alike_and_prints_nothing(tmp_path, capfd):
    """An unreadable colour profile, a time and a number of bits that are none, which libpng remarks on."""
    pixels = np.random.default_rng(0).integers(0, 255, (16, 20, 4), np.uint8)
    for mode in ("RGB", "RGBA", "L", "P"):
        image = Image.fromarray(pixels).convert(mode)
        image.save(tmp_path / "clean.png")
        image.save(tmp_path / "odd.png", icc_profile=b"junk" * 50)
        data = (tmp_path / "odd.png").read_bytes()
        (tmp_path / "odd.png").write_bytes(
            data[:33] + _chunk(b"tIME", b"\0") + _chunk(b"sBIT", b"12345678") + data[33:]
        )
        odd, clean = read_image(tmp_path / "odd.png").pixels, read_image(tmp_path / "clean.png").pixels
        np.testing.assert_array_equal(odd, clean)
    assert capfd.readouterr().err == ""


def test_an_orientation_in_a_png_stays(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (16, 20, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "turned.png").pixels, np.rot90(pixels, -1))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
