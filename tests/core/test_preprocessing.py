"""Preprocessing: equal to torchvision's, and the box where the network looks."""

from __future__ import annotations

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
        {"channels": 2},
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
