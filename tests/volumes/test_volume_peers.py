"""Maps of volumes against MONAI's and captum's."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from volume_case import made, settled

import explainers


@pytest.fixture(scope="module")
def monai():
    """Imported here, since it takes seconds, which would be those of every process that collects the tests."""
    return pytest.importorskip("monai")


def dense(monai):
    """A small 3-D network of MONAI's own, whose last spatial layer is the ReLU in front of its pooling."""
    torch.manual_seed(0)
    network = monai.networks.nets.DenseNet(3, 1, 3, init_features=4, growth_rate=3, block_config=(2, 2))
    return settled(network), torch.randn(1, 1, 13, 24, 17)


CASES = {"dense": (dense, "class_layers.relu"), "volume": (lambda _: copy.deepcopy(made("volume")), "last")}


@pytest.mark.parametrize("name", CASES)
def test_grad_cam_is_monais(name, monai):
    """MONAI enlarges with corners aligned and turns the scale around; both are told otherwise here."""
    build, layer = CASES[name]
    network, inputs = build(monai)
    ours = explainers.GradCAM(network, layer=layer)(inputs[:1], 1)

    def enlarge(size):
        return lambda map_: F.interpolate(map_, size=tuple(size), mode="trilinear", align_corners=False)

    theirs = monai.visualize.GradCAM(network, layer, upsampler=enlarge, postprocessing=lambda map_: map_)
    torch.testing.assert_close(ours, theirs(inputs[:1], class_idx=1)[:, 0].detach(), rtol=1e-4, atol=1e-7)
    assert float(ours.std()) > 0


def test_the_layer_of_monais_network_is_that_of_its_twin_of_images(monai):
    network, inputs = dense(monai)
    chosen = explainers.GradCAM(network)
    chosen(inputs, 1)
    torch.manual_seed(0)
    twin = monai.networks.nets.DenseNet(2, 1, 3, init_features=4, growth_rate=3, block_config=(2, 2)).eval()
    flat = explainers.GradCAM(twin)
    flat(torch.randn(1, 1, 24, 17), 1)
    assert chosen.layers == flat.layers == ("features",)


@pytest.mark.parametrize(("overlap", "stride"), [(0.0, (2, 4, 3)), (0.5, (1, 2, 1))])
def test_occlusion_is_the_score_less_monais_map(overlap, stride, monai):
    """Where the windows fit: MONAI's last window is moved inward, ours is cut off at the edge."""
    network, _ = made("volume")
    window = (2, 4, 3)
    inputs = torch.randn(1, 2, 4, 12, 9)
    ours = explainers.Occlusion(network, window=window, stride=stride, activation="softmax")(inputs, 2)
    sensitivity = monai.visualize.OcclusionSensitivity(
        network, mask_size=window, overlap=overlap, mode=0.0, verbose=False, activate=lambda scores: scores.softmax(1)
    )
    theirs, _ = sensitivity(inputs)  # the probabilities behind each window
    with torch.no_grad():
        clean = network(inputs).softmax(1)[:, 2]
    torch.testing.assert_close(ours, clean.view(-1, 1, 1, 1) - theirs[:, 2].as_tensor(), rtol=1e-4, atol=1e-6)
    assert float(ours.std()) > 0


@pytest.mark.parametrize("name", ["volume", "signal"])
def test_captums_methods_take_volumes_and_signals(name):
    attr = pytest.importorskip("captum.attr")
    network, inputs = made(name)
    whole = explainers.create("captum:IntegratedGradients", network, n_steps=8)(inputs, 1)
    wanted = attr.IntegratedGradients(network).attribute(inputs, target=1, n_steps=8).sum(1)
    torch.testing.assert_close(whole, wanted.float(), rtol=1e-4, atol=1e-6)
    layered = explainers.create("captum:LayerGradCam", network, layer="last")(inputs, 1)
    wanted = attr.LayerGradCam(network, network.last).attribute(inputs, target=1)
    mode = {3: "linear", 5: "trilinear"}[inputs.ndim]
    wanted = F.interpolate(wanted, size=inputs.shape[2:], mode=mode, align_corners=False)[:, 0]
    torch.testing.assert_close(layered, wanted.detach(), rtol=1e-4, atol=1e-6)
    blocks = explainers.create("captum:Occlusion", network)(inputs, 1)
    window = tuple(-(-side // 8) for side in inputs.shape[2:])
    options = {"sliding_window_shapes": (2, *window), "strides": (2, *(max(1, side // 2) for side in window))}
    wanted = attr.Occlusion(network).attribute(inputs, target=1, **options).sum(1)
    torch.testing.assert_close(blocks, wanted.float(), rtol=1e-4, atol=1e-6)


def test_lime_and_kernel_shap_of_a_linear_score_are_the_sums_over_blocks():
    """Both are exact on a score that is linear in what is there, whose Shapley values are its terms."""
    inputs = torch.rand(1, 2, 4, 6, 5, dtype=torch.float64)
    weights = torch.randn(2, 4, 6, 5, dtype=torch.float64)

    def network(images):
        total = (weights * images).flatten(1).sum(1)
        return torch.stack([total, -total], dim=1)

    labels = torch.zeros(4, 6, 5, dtype=torch.long)
    labels[2:] += 1
    labels[:, 3:] += 2
    terms = (weights * inputs[0]).sum(0)
    wanted = torch.stack([terms[labels == number].sum() for number in range(4)])[labels]
    found = explainers.KernelSHAP(network, segments=labels, samples=400, activation=None)(inputs, 0)
    torch.testing.assert_close(found[0], wanted.float(), rtol=2e-2, atol=1e-2)
    cells = explainers.KernelSHAP(network, segments=2, samples=800, activation=None)(inputs, 0)
    assert len(cells.unique()) == 8
