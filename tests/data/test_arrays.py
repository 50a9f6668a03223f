"""Maps and masks in files of NumPy: whole ones, damaged ones, and those that are larger than they look."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from PIL import Image
from run_case import embedded, folder

import explainers
from explainers.data.images.arrays import read_array
from explainers.data.images.companions import Beside, methods_of, read_map, read_mask
from explainers.data.images.find import find_images
from explainers.errors import MapError

LIMIT = 10_000


def bytes_of(values, **options) -> bytes:
    file = io.BytesIO()
    np.save(file, values, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["f4", "f8", "f2", ">f4", "u1", "i8", "?"])
def test_numbers_of_every_kind(tmp_path, kind):
    values = (np.arange(12).reshape(3, 4) % 5).astype(kind)
    np.save(tmp_path / "a.npy", values)
    np.save(tmp_path / "f.npy", np.asfortranarray(values))
    np.savez(tmp_path / "a.npz", map=values, other=values + values)
    np.savez_compressed(tmp_path / "one.npz", anything=values[None])
    for name in ("a.npy", "f.npy", "a.npz", "one.npz"):
        assert np.array_equal(read_array(tmp_path / name, "map", max_pixels=LIMIT), values)
    assert np.array_equal(read_mask(tmp_path / "a.npy", max_pixels=LIMIT), values != 0)
    np.save(tmp_path / "nan.npy", np.where(values != 0, 1.0, np.nan))  # NaN is not 0, so that it would be inside
    with pytest.raises(MapError, match=r"mask .*nan\.npy has NaN in it"):
        read_mask(tmp_path / "nan.npy", max_pixels=LIMIT)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((2, 3, 4)), r"has shape \(2, 3, 4\); expected \(H, W\)"),
        (np.zeros(3), r"has shape \(3,\)"),
        (np.zeros((0, 3)), r"holds no values: its shape is \(0, 3\)"),
        (np.zeros((2, 2), complex), "holds complex128, expected numbers"),
        (np.array([["a"]]), "holds <U1"),
        (np.array([[None]]), "holds object"),
        (np.zeros((101, 100), np.uint8), "101 × 100 values, more than the limit of 10,000"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_what_is_no_map_is_refused(tmp_path, values, message, packed):
    path = tmp_path / ("a.npz" if packed else "a.npy")
    (np.savez_compressed if packed else np.save)(path, values)
    with pytest.raises(MapError, match=message):
        read_array(path, "map", max_pixels=LIMIT)


def test_a_bomb_is_measured_before_it_is_read(tmp_path):
    """A header that promises little and a stream that has much, and the other way round."""
    long = bytes_of(np.zeros((4, 4))) + bytes(50_000_000)
    with zipfile.ZipFile(tmp_path / "long.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("map.npy", long)
    assert read_map(tmp_path / "long.npz", max_pixels=LIMIT).shape == (4, 4)
    promise = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        promise, {"descr": "<f8", "fortran_order": False, "shape": (40_000_000_000, 4_000_000)}
    )
    (tmp_path / "huge.npy").write_bytes(promise.getvalue())
    with pytest.raises(MapError, match="40000000000 × 4000000 values"):
        read_map(tmp_path / "huge.npy", max_pixels=100_000_000)


@pytest.mark.parametrize("packed", [False, True])
def test_damage_is_said_of_the_file(tmp_path, packed):
    file = io.BytesIO()
    (np.savez_compressed if packed else np.save)(file, np.random.default_rng(0).random((6, 7)))
    whole, path = file.getvalue(), tmp_path / ("a.npz" if packed else "a.npy")
    rng = np.random.default_rng(1)
    read = 0
    for _ in range(900):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), rng.integers(1, 6)):
            data[at] = rng.integers(0, 256)
        path.write_bytes(data[: rng.integers(0, len(data))] if rng.random() < 0.3 else data)
        try:
            read += read_array(path, "map", max_pixels=LIMIT).ndim == 2
        except MapError as error:
            assert str(path) in str(error)
    assert 0 < read < 900


def test_maps_called_like_their_images_are_those_of_no_method(tmp_path):
    names = ["im000.png", "sub/im001.png"]
    images = folder(tmp_path / "in", tuple(names))
    for ending, found in ((".npz", []), (".png.npz", []), (".grad-cam.npz", [".grad-cam"])):
        maps = tmp_path / ending
        for name in names:
            path = maps / (name.removesuffix(".png") + ending)
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(path, map=np.random.default_rng(0).random((96, 96)).astype(np.float32))
        assert list(methods_of(maps, names)) == found
        for name in names:
            assert Beside(maps, "map").find(name, found[0] if found else "") is not None
    result = explainers.evaluate(embedded(), images, {"mine": tmp_path / ".npz"}, ["sparseness"])
    assert {row["image"] for row in result.rows} == set(names)
    assert len(find_images(images)) == 2


def test_a_map_of_classes_with_a_void_is_no_mask(tmp_path):
    """Its void alone would be inside; smoothed edges and two values are masks."""
    values = np.zeros((8, 8), np.uint8)
    values[2:5], values[7] = 1, 255
    Image.fromarray(values).save(tmp_path / "classes.png")
    with pytest.raises(MapError, match="void alone would be inside"):
        read_mask(tmp_path / "classes.png", max_pixels=LIMIT)
    for inside in ([0, 255], [0, 1, 100, 255], [0, 200]):
        values = np.resize(np.array(inside, np.uint8), (8, 8))
        Image.fromarray(values).save(tmp_path / "mask.png")
        assert np.array_equal(read_mask(tmp_path / "mask.png", max_pixels=LIMIT), values >= 128)
