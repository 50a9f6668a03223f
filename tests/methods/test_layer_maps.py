"""Class-activation maps against formulas written as loops, on a network cut in two by other means."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from oracles import eigen_map, layer_map, split, upsampled
from small import Chain, Functional, Residual, Tokens, lively
from torch import nn

import explainers
from explainers.errors import LayerError, OutputError, UnsupportedError

FORMULAS = ("grad-cam", "grad-cam++", "xgrad-cam", "hires-cam", "layer-cam")
CASES = [(Chain, "last"), (Chain, "act"), (Functional, "second"), (Residual, "block"), (Residual, "stem")]


@pytest.mark.parametrize(("network", "layer"), CASES)
@pytest.mark.parametrize("method", FORMULAS)
def test_map_equals_the_formula_in_loops(method, network, layer):
    model = lively(network()).double()
    images, targets = torch.randn(2, 3, 13, 18, dtype=torch.float64), torch.tensor([1, 3])
    maps = explainers.create(method, model, layer=layer)(images, targets).numpy()
    activation, gradient = (value.numpy() for value in split(model, layer, images, targets))
    for row in range(2):
        expected = upsampled(layer_map(method, activation[row], gradient[row]), (13, 18))
        np.testing.assert_allclose(maps[row], expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize(("network", "layer"), CASES)
def test_eigen_cam_equals_numpys_singular_vectors(network, layer):
    model = lively(network()).double()
    images = torch.randn(2, 3, 13, 18, dtype=torch.float64)
    maps = explainers.create("eigen-cam", model, layer=layer)(images).numpy()
    activation, _ = split(model, layer, images, torch.tensor([0, 0]))
    for row in range(2):
        expected = upsampled(eigen_map(activation[row].numpy()), (13, 18))
        np.testing.assert_allclose(maps[row], expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


def test_grad_cam_of_pooling_and_linear_is_cam_rectified_and_divided_by_the_positions():
    model, images = lively(Residual()), torch.randn(3, 3, 16, 24)
    cam = explainers.create("cam", model)(images, 2)
    grad_cam = explainers.create("grad-cam", model)(images, 2)
    native = nn.functional.interpolate(grad_cam[:, None], size=(8, 12), mode="area")
    assert native.shape[-2:] == (8, 12)
    weights = model.head.weight[2]
    features = model.block(model.stem(images)).detach()
    raw = (weights[None, :, None, None] * features).sum(1, keepdim=True).detach()
    up = nn.functional.interpolate(raw, size=(16, 24), mode="bilinear")[:, 0]
    torch.testing.assert_close(cam, up, rtol=1e-5, atol=1e-6)
    rectified = nn.functional.interpolate(raw.relu() / 96, size=(16, 24), mode="bilinear")[:, 0]
    torch.testing.assert_close(grad_cam, rectified, rtol=1e-5, atol=1e-7)


def test_cam_sees_through_a_functional_relu_before_the_pooling():
    model, images = lively(Functional()), torch.randn(2, 3, 16, 24)
    maps = explainers.create("cam", model)(images, 1)
    features = model.second(model.pool(model.first(images).relu())).relu().detach()
    raw = (model.head.weight[1][None, :, None, None] * features).sum(1, keepdim=True).detach()
    expected = nn.functional.interpolate(raw, size=(16, 24), mode="bilinear")[:, 0]
    torch.testing.assert_close(maps, expected, rtol=1e-5, atol=1e-6)


def test_cam_of_a_convolutional_head_is_the_class_channel():
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    images = torch.randn(2, 3, 12, 12)
    expected = nn.functional.interpolate(model[:3](images).detach()[:, 3:4], size=(12, 12), mode="bilinear")[:, 0]
    torch.testing.assert_close(explainers.create("cam", model)(images, 3), expected)


@pytest.mark.parametrize("head", ["two layers", "flatten", "max", "softmax"])
def test_cam_refuses_every_other_head(head):
    body = [nn.Conv2d(3, 6, 3), nn.ReLU()]
    heads = {
        "two layers": [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 4)],
        "flatten": [nn.Flatten(), nn.Linear(600, 4)],
        "max": [nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(6, 4)],
        "softmax": [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4), nn.Softmax(1)],
    }
    model = nn.Sequential(*body, *heads[head])
    with pytest.raises(UnsupportedError, match="global average pooling and one linear layer.*Use grad-cam"):
        explainers.create("cam", model)(torch.randn(1, 3, 12, 12))


def test_grad_cam_plus_plus_and_xgrad_cam_are_finite_where_the_gradient_or_the_activation_is_zero():
    class Dead(Chain):
        def features(self, x):
            return super().features(x) * torch.tensor([0.0, 1, 1, 1, 1, 1, 1, 1])[None, :, None, None]

        def forward(self, x):
            return self.head(self.features(x).mean((2, 3)))

    for name in FORMULAS:
        maps = explainers.create(name, Dead())(torch.zeros(1, 3, 16, 16))
        assert torch.isfinite(maps).all()


@pytest.mark.parametrize("method", ["cam", "grad-cam", "eigen-cam", "score-cam"])
def test_an_explainer_sees_that_modules_of_its_network_were_exchanged(method):
    model, images = lively(Chain()), torch.randn(1, 3, 16, 24)
    explainer = explainers.create(method, model)
    explainer(images)
    model.second, model.head = nn.Conv2d(6, 7, 3, padding=1), nn.Sequential(nn.Linear(7, 5))
    lively(model)
    torch.testing.assert_close(explainer(images), explainers.create(method, model)(images))


def test_several_layers_come_from_one_forward_and_one_backward_pass():
    model, images = lively(Residual()), torch.randn(2, 3, 16, 24)
    layers = [-1, -2]
    explainer = explainers.create("grad-cam", model, layer=layers)
    explainer(images)  # finds the layers
    runs = []
    handle = model.register_forward_hook(lambda *_: runs.append(1))
    maps = explainer(images)
    handle.remove()
    assert len(runs) == 1
    assert maps.shape == (2, 2, 16, 24)
    assert explainer.layers == ("block", "stem")
    for index, layer in enumerate(layers):
        torch.testing.assert_close(maps[:, index], explainers.create("grad-cam", model, layer=layer)(images))
    assert explainer(images, [[0, 1, 2]] * 2).shape == (2, 3, 2, 16, 24)


def test_an_in_place_relu_behind_the_layer_does_not_rewrite_it():
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)
    )
    images = torch.randn(2, 3, 12, 12)
    activation = model[0](images).detach()
    maps = explainers.create("eigen-cam", model, layer="0")(images)
    for row in range(2):
        expected = upsampled(eigen_map(activation[row].double().numpy()), (12, 12))
        np.testing.assert_allclose(maps[row], expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_grad_cam_of_token_layers_equals_the_formula_on_patches():
    model = lively(Tokens()).double()
    images, targets = torch.randn(2, 3, 16, 24, dtype=torch.float64), torch.tensor([0, 4])
    explainer = explainers.create("grad-cam", model)
    maps = explainer(images, targets).numpy()
    assert explainer.layers == ("blocks.1.norm",)
    activation, gradient = (
        v[:, 1:].transpose(1, 2).unflatten(2, (4, 6)) for v in split(model, "blocks.1.norm", images, targets)
    )
    for row in range(2):
        expected = upsampled(layer_map("grad-cam", activation[row].numpy(), gradient[row].numpy()), (16, 24))
        np.testing.assert_allclose(maps[row], expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


def test_a_token_layer_of_which_only_the_class_token_is_read_is_refused():
    with pytest.raises(LayerError, match='only its class token is read.*try layer="blocks.1.norm"'):
        explainers.create("grad-cam", lively(Tokens()), layer="blocks.1")(torch.randn(1, 3, 16, 24))


def test_a_network_that_computes_its_features_without_gradient_still_has_a_grad_cam():
    class Cut(Chain):
        def forward(self, x):
            with torch.no_grad():
                features = self.features(x)
            return self.head(features.mean((2, 3)))

    model, images = lively(Cut()), torch.randn(2, 3, 16, 24)
    whole = Chain()
    whole.load_state_dict(model.state_dict())
    expected = explainers.create("grad-cam", whole.eval(), layer="last")(images)
    torch.testing.assert_close(explainers.create("grad-cam", model, layer="last")(images), expected)
    with pytest.raises(UnsupportedError, match="no_grad"):
        explainers.create("saliency", model)(images)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("layer5", 'no layer "layer5" in Residual; spatial layers are stem, block .try layer="block" or None.'),
        ("head", r'"head" of Residual gives \(1, 4\), which has no positions'),
        (-3, "stages -2 … -1"),
        (0, "stages -2 … -1"),
        (1.5, "expected None, a dotted name"),
        ("block.relu", "runs 2 times in one forward pass"),
        ("block.relu#7", "runs 2 times"),
        ([], "names no layer"),
    ],
)
def test_wrong_layers_are_refused_with_the_right_ones(layer, message):
    with pytest.raises(LayerError, match=message):
        explainers.create("grad-cam", lively(Residual()), layer=layer)(torch.randn(1, 3, 16, 24))


def test_one_run_of_a_shared_module_can_be_chosen():
    model, images = lively(Residual()).double(), torch.randn(2, 3, 16, 24, dtype=torch.float64)
    targets = torch.tensor([0, 1])
    maps = explainers.create("grad-cam", model, layer="block.relu#0")(images, targets).numpy()
    activation, gradient = split(model, "block.relu", images, targets, call=0)
    expected = upsampled(layer_map("grad-cam", activation[0].numpy(), gradient[0].numpy()), (16, 24))
    np.testing.assert_allclose(maps[0], expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


def test_a_black_box_is_told_to_bring_its_module():
    with pytest.raises(UnsupportedError, match="black box"):
        explainers.create("grad-cam", lambda x: x.mean((2, 3)))(torch.randn(1, 3, 8, 8))


def test_nan_scores_are_an_error_that_names_the_image():
    model = Chain()
    nn.init.constant_(model.head.bias, float("nan"))
    with pytest.raises(OutputError, match="NaN or infinite for image 0, 1"):
        explainers.create("saliency", model)(torch.randn(2, 3, 16, 16))
