"""captum's attributions through the adapter: equal to captum where it is right, refused where it is not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

attr = pytest.importorskip("captum.attr")

from small import Chain, Functional, Tokens, lively
from snapshot import same, snapshot

import explainers
from explainers.errors import OptionError, UnsupportedError

CALLS = {
    "IntegratedGradients": {"n_steps": 8},
    "DeepLift": {},
    "InputXGradient": {},
    "GuidedBackprop": {},
    "Deconvolution": {},
    "LRP": {},
    "Occlusion": {"sliding_window_shapes": (3, 4, 4), "strides": (3, 2, 2)},
}


@pytest.mark.parametrize("name", CALLS)
def test_maps_equal_captums(name):
    model, images = lively(Chain()), torch.randn(2, 3, 16, 24)
    options = CALLS[name]
    expected = getattr(attr, name)(model).attribute(images.clone(), target=torch.tensor([1, 2]), **options).detach()
    before = snapshot(model)
    maps = explainers.create(f"captum:{name}", model, channels=None, **options)(images, [1, 2])
    torch.testing.assert_close(maps, expected.float(), rtol=1e-5, atol=1e-6)
    summed = explainers.create(f"captum:{name}", model, **options)(images, [1, 2])
    torch.testing.assert_close(summed, expected.float().sum(1), rtol=1e-5, atol=1e-5)
    assert same(before, snapshot(model))


def test_layer_methods_take_our_layers_and_layouts():
    model, images = lively(Chain()), torch.randn(2, 3, 16, 24)
    expected = attr.LayerGradCam(model, model.last).attribute(images, target=1)
    expected = torch.nn.functional.interpolate(expected, size=(16, 24), mode="bilinear")[:, 0].detach()
    explainer = explainers.create("captum:LayerGradCam", model)
    torch.testing.assert_close(explainer(images, 1), expected)
    assert explainer.layers == ("last",)
    assert explainers.create("captum:LayerGradientXActivation", lively(Tokens()))(images, 1).shape == (2, 16, 24)


@pytest.mark.parametrize("name", ["GuidedBackprop", "Deconvolution", "DeepLift", "LRP"])
def test_functional_relus_that_captum_passes_over_are_refused(name):
    with pytest.raises(UnsupportedError, match=f"captum:{name} cannot be right.*Use "):
        explainers.create(f"captum:{name}", lively(Functional()))(torch.randn(2, 3, 16, 24))


def test_black_boxes_get_the_perturbation_methods_alone():
    model, images = lively(Chain()), torch.randn(1, 3, 16, 24)

    def black_box(x):
        return model(x.detach()).detach()

    assert explainers.method("captum:Occlusion").needs == frozenset()
    torch.testing.assert_close(
        explainers.create("captum:Occlusion", black_box)(images), explainers.create("captum:Occlusion", model)(images)
    )
    with pytest.raises(UnsupportedError):
        explainers.create("captum:IntegratedGradients", black_box)(images)
    with pytest.raises(UnsupportedError, match="black box"):
        explainers.create("captum:DeepLift", black_box)(images)


@pytest.mark.parametrize("name", ["KernelShap", "Lime"])
def test_random_methods_do_not_depend_on_the_batch_nor_touch_the_global_generators(name):
    model, images = lively(Chain()), torch.randn(3, 3, 16, 24)
    explainer = explainers.create(f"captum:{name}", model, n_samples=20, seed=3)
    torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    together = explainer(images, 1)
    assert torch.equal(torch_state, torch.random.get_rng_state())
    assert (numpy_state == np.random.get_state()[1]).all()
    torch.testing.assert_close(together, torch.cat([explainer(image[None], 1) for image in images]))


def test_wrong_names_and_options_say_what_there_is():
    with pytest.raises(OptionError, match=r"no method captum:Nonsense; captum's are .*IntegratedGradients"):
        explainers.create("captum:Nonsense", Chain())
    with pytest.raises(OptionError, match="has no option steps; captum's are .*n_steps"):
        explainers.create("captum:IntegratedGradients", Chain(), steps=3)
    with pytest.raises(OptionError, match="needs baselines="):
        explainers.create("captum:GradientShap", Chain())
    with pytest.raises(UnsupportedError, match="use guided-grad-cam"):
        explainers.create("captum:GuidedGradCam", Chain())
