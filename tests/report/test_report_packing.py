"""Maps in their packing, and enlarged ones found small again."""

from __future__ import annotations

import base64
import zlib

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from explainers.render.report import native, pack_bits, packed, unpacked


def enlarged(values, size):
    return F.interpolate(torch.from_numpy(values)[None, None], size=size, mode="bilinear", align_corners=False)[0, 0]


@pytest.mark.parametrize("shape", [(1, 1), (7, 7), (64, 64), (65, 64), (33, 129)])
def test_packed_maps_come_back_to_their_precision(shape):
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    made = packed(values)
    assert made.bits == (16 if values.size <= 4096 else 12)
    back = unpacked(made)
    assert np.abs(back - values).max() <= made.precision * (1 + 1e-6) + 1e-12
    assert back.min() == pytest.approx(values.min(), abs=1e-12)
    assert back.max() == pytest.approx(values.max(), abs=1e-12)


def test_a_map_of_one_value_is_packed_as_such():
    made = packed(np.full((3, 4), 2.5, np.float32))
    assert (unpacked(made) == 2.5).all()
    assert made.precision == 0


def test_bits_of_a_mask():
    """Held against a mask written out by hand."""
    mask = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 1]], bool)
    made = pack_bits(mask)
    assert made["grid"] == [3, 3]
    assert zlib.decompress(base64.b64decode(made["data"])) == bytes([0b10001100, 0b10000000])


@pytest.mark.parametrize(
    ("small", "size"), [((7, 7), (224, 224)), ((8, 11), (96, 140)), ((1, 1), (32, 32)), ((10, 6), (33, 50))]
)
def test_what_a_map_was_enlarged_from_is_found(small, size):
    values = np.random.default_rng(1).normal(size=small).astype(np.float32)
    found = native(enlarged(values, size).numpy())
    if small == (1, 1):
        assert found.shape == (1, 1)
    else:
        assert found.shape == small
    np.testing.assert_allclose(found, values, atol=1e-4)


def test_rectified_maps_are_found_too():
    values = np.maximum(np.random.default_rng(2).normal(size=(7, 7)), 0).astype(np.float32)
    found = native(enlarged(values, (224, 224)).numpy())
    np.testing.assert_allclose(found, values, atol=1e-5)
    assert found.min() == 0, "a value below it would make a map with signs of it, and give it other colours"


@pytest.mark.parametrize("kind", ["noise", "rectified before", "rectified after", "sparse", "other corners"])
def test_other_maps_stay_as_they_are(kind):
    """A map that is no enlargement, or nearly one, is never replaced by one."""
    rng = np.random.default_rng(3)
    values = rng.normal(size=(96, 96)).astype(np.float32)
    if kind == "rectified before":
        values = np.maximum(values - 1, 0)
    if kind == "rectified after":
        values = np.maximum(enlarged(rng.normal(size=(7, 7)).astype(np.float32), (96, 96)).numpy(), 0)
    if kind == "sparse":
        values = np.zeros((96, 96), np.float32)
        values[40, 41] = 1
    if kind == "other corners":
        small = torch.from_numpy(rng.normal(size=(7, 7)).astype(np.float32))[None, None]
        values = F.interpolate(small, size=(96, 96), mode="bilinear", align_corners=True)[0, 0].numpy()
    found = native(values)
    assert found.shape == values.shape
    np.testing.assert_array_equal(found, values)
