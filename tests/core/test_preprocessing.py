"""Preprocessing: equal to torchvision's, and the box where the network looks."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import torch

from explainers.errors import OptionError
from explainers.models import Preprocessing
from explainers.models.libraries import _torchvision_preprocessing

torchvision = pytest.importorskip("torchvision")

WEIGHTS = ["ResNet50_Weights.IMAGENET1K_V1", "ResNet50_Weights.IMAGENET1K_V2", "EfficientNet_B0_Weights.IMAGENET1K_V1"]
WEIGHTS += [
    "Inception_V3_Weights.IMAGENET1K_V1",
    "Swin_T_Weights.IMAGENET1K_V1",
    "ViT_H_14_Weights.IMAGENET1K_SWAG_E2E_V1",
]


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("size", [(97, 240), (480, 333), (300, 300), (20, 31)])
def test_inputs_equal_torchvisions_transforms(name, size):
    member = torchvision.models.get_weight(name)
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    expected = member.transforms()(torch.from_numpy(pixels).permute(2, 0, 1))
    found = _torchvision_preprocessing(member)(pixels)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("resize", "crop", "size"),
    [(64, (48, 48), (100, 200)), (64, (80, 80), (100, 70)), ((40, 60), None, (100, 70)), (None, (30, 50), (100, 200))],
)
def test_the_box_is_what_the_network_sees(resize, crop, size):
    prep = Preprocessing(resize, crop)
    top, left, bottom, right = prep.box(*size)
    h, w = prep(np.zeros((*size, 3), np.uint8)).shape[1:]
    # A ramp in the photo tells from the input where its first and last positions lie.
    rows = np.broadcast_to(np.arange(size[0], dtype=np.uint8)[:, None, None], (*size, 3)).copy()
    seen = prep(rows)[0, :, w // 2] * 255
    inside = (seen > 2) & (seen < size[0] - 3)
    centres = top + (torch.arange(h) + 0.5) * (bottom - top) / h - 0.5
    assert int(inside.sum()) > 5
    torch.testing.assert_close(seen[inside], centres[inside].float(), rtol=0, atol=1.1)
    columns = np.broadcast_to(np.arange(size[1], dtype=np.uint8)[None, :, None], (*size, 3)).copy()
    seen = prep(columns)[0, h // 2] * 255
    inside = (seen > 2) & (seen < size[1] - 3)
    centres = left + (torch.arange(w) + 0.5) * (right - left) / w - 0.5
    torch.testing.assert_close(seen[inside], centres[inside].float(), rtol=0, atol=1.1)


def test_one_channel_is_the_luma():
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[..., 1] = 255
    found = Preprocessing(mean=(0.0,), std=(1.0,), channels=1)(pixels)
    assert found.shape == (1, 4, 4)
    torch.testing.assert_close(found, torch.full((1, 4, 4), 0.587))


@pytest.mark.parametrize(
    "wrong",
    [
        {"mean": (0.5,)},
        {"std": (1, 0, 1)},
        {"std": (1, float("nan"), 1)},
        {"mean": (float("inf"), 0, 0)},
        {"resize": (99_999, 99_999)},
        {"resize": 99_999},
        {"crop": (99_999, 99_999)},
        {"channels": 0},
        {"interpolation": "cubic"},
        {"crop": (0, 5)},
        {"resize": 0},
    ],
)
def test_wrong_settings_are_refused(wrong):
    if wrong == {"resize": 0}:
        wrong = {"resize": (0, 4)}
    with pytest.raises(OptionError):
        Preprocessing(**wrong)


WINDOW = (0.25, 0.1, 0.75, 1.0)  # of a photo of 40 × 80: columns 20 … 59, rows 4 … 39


@pytest.mark.parametrize("resize", [None, 24, (18, 30)])
@pytest.mark.parametrize("crop", [None, (16, 16), (50, 60)])
def test_a_window_equals_cutting_the_photo_first(resize, crop):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 80, 3), np.uint8)
    windowed, plain = Preprocessing(resize, crop, window=WINDOW), Preprocessing(resize, crop)
    cut = pixels[4:40, 20:60]
    assert torch.equal(windowed(pixels), plain(cut))
    for nearest in (True, False):
        field = pixels[..., 0] > 128
        assert torch.equal(windowed.fitted(field, nearest=nearest), plain.fitted(field[4:40, 20:60], nearest=nearest))
    assert windowed.resized_size(40, 80) == plain.resized_size(36, 40)
    top, left, bottom, right = plain.box(36, 40)
    assert windowed.box(40, 80) == pytest.approx((top + 4, left + 20, bottom + 4, right + 20))


def test_the_box_of_a_window_by_hand():
    assert Preprocessing((18, 20), window=WINDOW).box(40, 80) == (4, 20, 40, 60)
    # resized to 18 × 20, so that a pixel is two of the photo; the crop leaves out 1 row and 2 columns on each side
    assert Preprocessing((18, 20), (16, 16), window=WINDOW).box(40, 80) == (6, 24, 38, 56)


def test_the_size_after_the_resize_is_of_the_window():
    assert Preprocessing(window=WINDOW).resized_size(40, 80) == (36, 40)
    assert Preprocessing(18, window=WINDOW).resized_size(40, 80) == (18, 20)  # the shorter side of 36 × 40
    assert Preprocessing(18).resized_size(40, 80) == (18, 36)


def test_a_window_keeps_at_least_one_pixel():
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    found = Preprocessing(window=(0.9, 0.1, 0.95, 0.2))(pixels)
    torch.testing.assert_close(found, torch.tensor([3.0, 4, 5])[:, None, None] / 255)


def test_a_description_that_went_through_json_gives_the_same_preprocessing():
    prep = Preprocessing((18, 30), (16, 16), (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), source="x", window=WINDOW)
    assert Preprocessing(**json.loads(json.dumps(prep.describe()))) == prep
    assert hash(Preprocessing(**json.loads(json.dumps(prep.describe())))) == hash(prep)


@pytest.mark.parametrize(
    "window",
    [
        (0.5, 0, 0.5, 1),
        (0, 0.6, 1, 0.5),
        (-0.1, 0, 1, 1),
        (0, 0, 1, 1.01),
        (0, 0, 1),
        (0, 0, float("nan"), 1),
        (290, 0, 3701, 2848),
    ],
)
def test_wrong_windows_are_refused(window):
    with pytest.raises(OptionError) as caught:
        Preprocessing(window=window)
    assert str(caught.value) == (
        f"window={window}; expected (left, top, right, bottom) as fractions of a photo's width and height: "
        "0 ≤ left < right ≤ 1 and 0 ≤ top < bottom ≤ 1"
    )


@pytest.mark.parametrize(
    ("resize", "crop", "size", "told"),
    [
        (32, (224, 224), (50, 70), "crop=(224, 224) is larger than resize=32"),
        ((40, 50), (40, 51), (50, 70), "crop=(40, 51) is larger than resize=(40, 50)"),
        (None, (60, 60), (50, 70), "crop=(60, 60) is larger than the photo"),
        (None, (50, 70), (50, 70), ""),
        (None, 50, (50, 70), ""),  # one side of both
        (32, (32, 44), (50, 70), ""),
        (None, None, (50, 70), ""),
    ],
)
def test_a_crop_filled_with_black_is_said(resize, crop, size, told):
    preprocessing = Preprocessing(resize=resize, crop=crop)
    pixels = np.full((*size, 3), 255, dtype=np.uint8)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        image = preprocessing(pixels)
    assert bool((image == 0).any()) == bool(told)
    assert [str(each.message) for each in said] == (
        [f"{told}: what the network sees beside the photo is black"] if told else []
    )
    assert preprocessing.padding(*size) == "".join(str(each.message) for each in said)
