"""The notebook door."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from run_case import embedded
from small import Chain, lively

import explainers
from explainers.data.samples import sample_images
from explainers.errors import ImageError, OptionError, TargetError
from explainers.models import Preprocessing

PHOTO = sample_images()[3].path


def test_paths_pil_images_and_arrays_give_the_same_explanation():
    loaded = embedded()
    image = Image.open(PHOTO)
    first = explainers.explain(loaded, PHOTO)
    assert first.maps.shape == (1, 96, 96)
    assert first.targets.tolist() == [3]
    assert first.layers == ("stage4",)
    assert first.label(0, 3).startswith("three 0.9")
    for other in (str(PHOTO), image, np.asarray(image), np.asarray(image) / 255.0, [image]):
        assert torch.equal(explainers.explain(loaded, other).maps, first.maps)
    batch = loaded.preprocessing(np.asarray(image))[None]
    assert torch.equal(explainers.explain(loaded, batch).maps, first.maps)
    assert torch.equal(explainers.explain(loaded.network, batch).maps, first.maps)
    assert torch.equal(explainers.GradCAM(loaded)(batch), first.maps)


def test_targets_by_name_index_and_several():
    loaded = embedded()
    named = explainers.explain(loaded, PHOTO, target="Eight")
    assert torch.equal(named.maps, explainers.explain(loaded, PHOTO, target=8).maps)
    several = explainers.explain(loaded, PHOTO, "cam", [[3, 8]])
    assert several.maps.shape == (1, 2, 96, 96)
    assert not np.array_equal(several.overlay(target=0), several.overlay(target=1))
    with pytest.raises(TargetError, match="no class 'cat'"):
        explainers.explain(loaded, PHOTO, target="cat")
    with pytest.raises(TargetError, match="not known; pass an index"):
        explainers.explain(lively(Chain()), torch.randn(1, 3, 16, 16), target="cat")


def test_it_shows_itself_and_saves(tmp_path):
    explanation = explainers.explain(embedded(), [PHOTO, sample_images()[5].path], "guided-backprop")
    assert explanation._repr_png_()[:4] == b"\x89PNG"
    assert len(explanation.plot().axes) == 4
    explanation.save(tmp_path / "a.png", 1)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), explanation.overlay(1))
    explanation.save(tmp_path / "sub" / "a.npz")
    with np.load(tmp_path / "sub" / "a.npz") as saved:
        assert np.array_equal(saved["maps"], explanation.maps.numpy())
    kept = explainers.explain(embedded(), PHOTO, "guided-backprop", channels=None)
    assert kept.overlay().shape == (96, 96, 3)


def test_rise_comes_with_its_error_and_masks():
    explanation = explainers.explain(
        embedded(), str(sample_images()[0].path), method="rise", masks=300, target=[[3, 8]]
    )
    assert explanation.maps.shape == explanation.standard_error.shape == (1, 2, 96, 96)
    assert (explanation.standard_error > 0).all()
    assert explanation.details[0]["masks"] == 384  # whole blocks


def test_compare_draws_a_column_a_method():
    figure = explainers.compare(embedded(), PHOTO, ["cam", "smooth-grad"], options={"smooth-grad": {"samples": 2}})
    captions = [axis.get_title(loc="left").split("\n")[0] for axis in figure.axes]
    assert captions[1:] == ["cam", "smooth-grad", "mean of methods", "disagreement"]
    assert len(explainers.compare(embedded(), PHOTO, ["cam"]).axes) == 2  # one map agrees with nothing
    with pytest.raises(OptionError, match="options for lime"):
        explainers.compare(embedded(), PHOTO, ["cam"], options={"lime": {}})


def test_a_photo_needs_preprocessing():
    with pytest.raises(ImageError, match="load it with explainers.load_model, pass preprocessing="):
        explainers.explain(Chain(), PHOTO)
    made = explainers.explain(lively(Chain()), PHOTO, preprocessing=Preprocessing(32, (24, 24)))
    assert made.maps.shape == (1, 24, 24)
    assert made.overlay().shape == (96, 96, 3)
