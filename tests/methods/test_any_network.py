"""Every method on every family of torchvision's classifiers: right, or refused with a reason and another way."""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("torchvision")

from oracles import EveryRelu, eigen_map, layer_map, ruled_gradient, split, upsampled
from snapshot import same, snapshot
from zoo import FAMILIES, build

import explainers
from explainers.errors import UnsupportedError

RULES = {"guided-backprop": "guided", "deconvolution": "deconvolution", "guided-backprop-minus": "guided-minus"}
FORMULAS = ("grad-cam", "grad-cam++", "xgrad-cam", "hires-cam", "layer-cam")
SMOOTH = (nn.GELU, nn.SiLU, nn.Hardswish)
TARGETS = torch.tensor([1, 5])
WITH_CAM = [
    "resnet18",
    "resnet50",
    "resnext50",
    "wide_resnet50",
    "densenet121",
    "googlenet",
    "inception_v3",
    "squeezenet1_1",
    "mobilenet_v2",
    "mnasnet0_5",
    "shufflenet_v2_x0_5",
    "efficientnet_b0",
    "efficientnet_v2_s",
    "regnet_x_400mf",
    "regnet_y_400mf",
    "swin_t",
    "swin_v2_t",
]
WITH_ROLLOUT = ["vit_b_16"]
WITH_FULL_GRAD = [
    "alexnet",
    "vgg11",
    "vgg11_bn",
    "resnet18",
    "resnet50",
    "resnext50",
    "wide_resnet50",
    "densenet121",
    "googlenet",
    "inception_v3",
    "squeezenet1_1",
    "mnasnet0_5",
    "shufflenet_v2_x0_5",
    "regnet_x_400mf",
]


@pytest.fixture(scope="module", params=FAMILIES)
def family(request) -> str:
    return request.param


@lru_cache(maxsize=1)
def case(family: str) -> tuple[nn.Module, Tensor]:
    return build(FAMILIES[family])


def close(maps: Tensor, expected: np.ndarray | Tensor) -> None:
    expected = np.asarray(expected)
    np.testing.assert_allclose(maps.numpy(), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def in_nchw(family: str, value: Tensor) -> Tensor:
    if family == "vit_b_16":
        return value[:, 1:].transpose(1, 2).unflatten(2, (3, 3))
    return value


def test_the_layer_found_is_the_one_a_person_names_and_its_maps_equal_the_formulas(family):
    model, images = case(family)
    activation = gradient = None
    for method in FORMULAS:
        explainer = explainers.create(method, model)
        maps = explainer(images, TARGETS)
        assert explainer.layers == (FAMILIES[family].layer,)
        if activation is None:
            both = split(model, explainer.layers[0], images, TARGETS)
            activation, gradient = (in_nchw(family, value).numpy() for value in both)
        close(maps[0], upsampled(layer_map(method, activation[0], gradient[0]), images.shape[-2:]))
        assert float(maps.abs().max()) > 0 or method == "grad-cam++"
    close(explainers.create("eigen-cam", model)(images)[0], upsampled(eigen_map(activation[0]), images.shape[-2:]))


def test_rectified_methods_follow_the_rule_or_are_refused(family):
    model, images = case(family)
    smooth = any(isinstance(module, SMOOTH) for module in model.modules())
    with EveryRelu("guided") as counted:
        model(images)
    for method, rule in RULES.items():
        if smooth or counted.count == 0:
            with pytest.raises(UnsupportedError, match="Use .* instead"):
                explainers.create(method, model)(images, TARGETS)
        else:
            maps = explainers.create(method, model, channels=None)(images, TARGETS)
            close(maps, ruled_gradient(model, images, TARGETS, rule))


def test_saliency_and_input_x_gradient_equal_the_plain_gradient(family):
    model, images = case(family)
    leaf = images.clone().requires_grad_()
    gradient = torch.autograd.grad(model(leaf).gather(1, TARGETS[:, None]).sum(), leaf)[0]
    close(explainers.create("saliency", model)(images, TARGETS), gradient.abs().amax(1))
    close(explainers.create("input-x-gradient", model)(images, TARGETS), (images * gradient).sum(1))


def test_guided_grad_cam_is_the_product_of_its_parts_or_refused(family):
    model, images = case(family)
    try:
        detail = explainers.create("guided-backprop", model, channels=None)(images, TARGETS)
    except UnsupportedError:
        with pytest.raises(UnsupportedError, match="Use .* instead"):
            explainers.create("guided-grad-cam", model)(images, TARGETS)
        return
    place = explainers.create("grad-cam", model)(images, TARGETS)
    close(explainers.create("guided-grad-cam", model, channels=None)(images, TARGETS), place[:, None] * detail)


def test_cam_is_the_linear_layers_weights_on_what_is_pooled_or_refused(family):
    model, images = case(family)
    explainer = explainers.create("cam", model)
    if family not in WITH_CAM:
        with pytest.raises(UnsupportedError, match="Use grad-cam"):
            explainer(images, TARGETS)
        return
    maps = explainer(images, TARGETS)
    # The mean of the raw map is the score without the bias, whatever the way it was made.
    heads = [m for m in model.modules() if isinstance(m, nn.Linear) and m.out_features == 7]
    bias = heads[-1].bias[TARGETS].detach() if heads else 0
    module, seen = model.get_submodule(explainer.layers[0]), []
    handle = module.register_forward_hook(lambda m, i, o: seen.append(o.detach()))
    scores = model(images).gather(1, TARGETS[:, None])[:, 0].detach()
    handle.remove()
    pooled = seen[-1] if family != "densenet121" else seen[-1].relu()
    raw = torch.einsum("nc,nchw->nhw", heads[-1].weight[TARGETS], pooled) if heads else pooled[[0, 1], TARGETS]
    torch.testing.assert_close(raw.mean((1, 2)), scores - bias)
    close(maps[0], upsampled(raw[0].detach().numpy(), images.shape[-2:]))


def test_full_grad_is_complete_or_refused(family):
    model, images = case(family)
    explainer = explainers.create("full-grad", model)
    if family not in WITH_FULL_GRAD:
        with pytest.raises(UnsupportedError, match="contributions sum to"):
            explainer(images, TARGETS)
        return
    scores, sums = explainer.contributions(images, TARGETS)
    torch.testing.assert_close(sums, scores, rtol=1e-4, atol=1e-6)
    assert torch.isfinite(explainer(images, TARGETS)).all()


def test_rollout_works_on_vision_transformers_alone(family):
    model, images = case(family)
    explainer = explainers.create("attention-rollout", model)
    if family in WITH_ROLLOUT:
        maps = explainer(images)
        assert float(maps.min()) > 0
        # Rows of a product of row-stochastic matrices sum to one; the class token keeps the rest.
        assert 0 < float(maps[0, ::16, ::16].sum()) < 1.5
    else:
        with pytest.raises(UnsupportedError, match="Use .* instead"):
            explainer(images)


def test_batches_equal_single_images_and_the_network_is_left_as_found(family):
    model, images = case(family)
    before = snapshot(model)
    for method in ("grad-cam", "cam", "guided-backprop", "visual-backprop", "attention-rollout"):
        explainer = explainers.create(method, model)
        try:
            together = explainer(images, TARGETS)
        except UnsupportedError:
            continue
        alone = torch.cat([explainer(images[:1], 1), explainer(images[1:], 5)])
        close(together, alone)
    assert same(before, snapshot(model))
