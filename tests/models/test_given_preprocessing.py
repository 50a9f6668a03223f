"""Preprocessing in the forms that users have: torchvision's, timm's, open_clip's, transformers'."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from run_case import folder
from small import Chain, lively

import explainers
from explainers import load_model
from explainers.errors import OptionError
from explainers.models import Preprocessing, as_preprocessing

torchvision = pytest.importorskip("torchvision")
v1, v2 = torchvision.transforms, pytest.importorskip("torchvision.transforms.v2")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PHOTO = np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8)
NORMALISED = v1.Normalize(MEAN, STD)


def v2_numbers():
    return v2.ToDtype(torch.float32, scale=True)


@pytest.mark.parametrize(
    ("given", "tensors"),
    [
        (torchvision.models.ResNet18_Weights.DEFAULT.transforms(), True),
        (torchvision.models.Swin_T_Weights.DEFAULT.transforms(), True),
        (v1.Compose([v1.Resize(40), v1.CenterCrop(32), v1.ToTensor(), NORMALISED]), False),
        (v1.Compose([v1.Resize((40, 30), interpolation=v1.InterpolationMode.BICUBIC), v1.ToTensor()]), False),
        (v1.Compose([v1.CenterCrop((32, 48)), v1.ToTensor(), NORMALISED]), False),
        (v2.Compose([v2.ToImage(), v2.Resize(40), v2.CenterCrop(32), v2_numbers(), v2.Normalize(MEAN, STD)]), True),
        (v2.Compose([v2.Compose([v2.ToImage(), v2.Resize([40])]), v2_numbers()]), True),
    ],
)
def test_inputs_are_those_of_torchvision(given, tensors):
    from PIL import Image

    made = as_preprocessing(given)
    photo = torch.from_numpy(PHOTO).permute(2, 0, 1) if tensors else Image.fromarray(PHOTO)
    # Pillow, and v2 on whole numbers, round between rows and columns: a gray level or two, divided by the deviation.
    exact = tensors and not isinstance(given, v2.Compose)
    torch.testing.assert_close(made(PHOTO), given(photo), atol=1e-5 if exact else 2.1 / 255 / min(made.std), rtol=0)


def test_gray_pictures():
    given = v1.Compose([v1.Grayscale(), v1.Resize(40), v1.ToTensor(), v1.Normalize([0.5], [0.25])])
    assert as_preprocessing(given) == Preprocessing(40, None, (0.5,), (0.25,), channels=1, source="given Compose")


def test_timm_and_transformers():
    timm = pytest.importorskip("timm")
    config = {"input_size": (3, 32, 32), "interpolation": "bicubic", "mean": MEAN, "std": STD, "crop_pct": 0.8}
    made = as_preprocessing(timm.data.create_transform(**config))
    assert (made.resize, made.crop, made.interpolation) == (40, (32, 32), "bicubic")
    assert made.mean == pytest.approx(MEAN)
    transformers = pytest.importorskip("transformers")
    processor = transformers.ViTImageProcessor(size={"height": 32, "width": 24}, image_mean=MEAN, image_std=STD)
    made = as_preprocessing(processor)
    assert (made.resize, made.crop, made.mean, made.std) == ((32, 24), None, MEAN, STD)
    expected = processor(PHOTO, return_tensors="pt")["pixel_values"][0]
    torch.testing.assert_close(made(PHOTO), expected, atol=2.1 / 255 / min(STD), rtol=0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (v1.Compose([v1.RandomResizedCrop(32), v1.ToTensor()]), "of its step RandomResizedCrop nothing is known"),
        (v1.Compose([v1.ToTensor(), lambda image: image * 2]), "of its step <lambda> nothing is known"),
        (v1.Compose([v1.Resize(40), v1.PILToTensor()]), "nothing in it scales pixels"),
        (v1.Compose([v1.CenterCrop(40), v1.Resize(32), v1.ToTensor()]), "resizes twice, or late"),
        (v1.Compose([v1.ToTensor(), v1.Resize(32)]), "resizes floats"),
        (v1.Compose([v1.Resize(32, max_size=40), v1.ToTensor()]), "max_size"),
        (v1.Compose([v1.Resize(32, antialias=False), v1.ToTensor()]), "antialias=False"),
        (v1.Compose([v1.Grayscale(3), v1.ToTensor()]), "gray pictures of three channels"),
        (v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32)]), "does not scale"),
        (v2.Compose([v2.ToImage(), v2.ToDtype(torch.float16, scale=True)]), "its numbers are torch.float16"),
        (lambda photo: photo, "preprocessing=function; expected"),
        (224, "preprocessing=int; expected"),
    ],
)
def test_what_has_other_steps_is_refused(given, message):
    with pytest.raises(OptionError, match=message):
        as_preprocessing(given)


def test_every_door_takes_them(tmp_path):
    given = v1.Compose([v1.Resize(20), v1.CenterCrop(16), v1.ToTensor(), NORMALISED])
    own, network = as_preprocessing(given), lively(Chain())
    assert load_model("embedded", device="cpu", preprocessing=given).preprocessing == own
    expected = explainers.explain(network, PHOTO, "saliency", 1, preprocessing=own).maps
    assert torch.equal(explainers.explain(network, PHOTO, "saliency", 1, preprocessing=given).maps, expected)
    images = folder(tmp_path / "in", ("a.png",))
    rows = [
        explainers.evaluate(network, images, ["saliency"], ["sparseness"], preprocessing=each).rows
        for each in (own, given)
    ]
    assert [row.get("score") for row in rows[0]] == [row.get("score") for row in rows[1]]
    with pytest.raises(OptionError, match="preprocessing=int"):
        explainers.evaluate(network, images, ["saliency"], ["sparseness"], preprocessing=224)
