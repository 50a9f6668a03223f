"""The answers by hand are right themselves: against numbers, each other, torch's own functions, and captum where it is."""

from __future__ import annotations

import answer_layers as layers
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from answer_rules import Rectified, differences, gradient, rectified_gradient, smoothed
from answer_whole import Biases, full_grad, rollout, spread, visual_backprop
from answers import RULES, Answers
from network_case import METHODS
from network_spellings import HIDDEN, RELU, RELU6, SMOOTH, Spelled
from network_structures import Modular, Tokens
from network_traces import Traces
from networks import FAMILIES, NETWORKS, TRAPS
from torch import nn

DOUBLE = torch.float64
# What these return, or how they compute it, differs from the plain network on purpose.
OTHERWISE = {"train mode", "train mode in part", "made in inference mode"}


def made(name: str) -> Answers:
    case = NETWORKS[name]
    return Answers(case, case.plain(), case.images())


# Rules


def test_rules_by_numbers():
    """The score is 2·relu(1) − 3·relu(2) + 5·relu(−1), and each unit's gradient is seen by eye."""
    x = torch.tensor([[[[1.0, 2.0, -1.0]]]], dtype=DOUBLE)
    weights = torch.tensor([2.0, -3.0, 5.0], dtype=DOUBLE)

    def scores(images):
        return (F.relu(images).flatten(1) * weights).sum(1, keepdim=True)

    assert gradient(scores, x[0], 0).flatten().tolist() == [2, -3, 0]
    assert rectified_gradient(scores, x[0], 0, "guided").flatten().tolist() == [2, 0, 0]
    assert rectified_gradient(scores, x[0], 0, "guided-minus").flatten().tolist() == [0, -3, 0]
    assert rectified_gradient(scores, x[0], 0, "deconvolution").flatten().tolist() == [2, 0, 5]


@pytest.mark.parametrize("name", [*RELU, *RELU6])
def test_every_spelling_is_seen_and_gives_the_gradient_of_the_plain_one(name):
    units = {**RELU, **RELU6}
    torch.manual_seed(0)
    plain = Spelled(F.relu if name in RELU else F.relu6).double()
    other = Spelled(units[name]).double()
    other.load_state_dict(plain.state_dict())
    image = torch.randn(3, 16, 16, dtype=DOUBLE)
    for rule in RULES.values():
        expected = rectified_gradient(plain, image, 1, rule)
        torch.testing.assert_close(rectified_gradient(other, image, 1, rule), expected)
    with Rectified("guided") as seen:
        other(image[None].clone())
    assert seen.count >= 3


@pytest.mark.parametrize("name", SMOOTH)
def test_units_that_are_no_relu_are_not_counted(name):
    if name == "x * relu6(x + 3) / 6":
        pytest.skip("holds a ReLU6 as its gate")
    with Rectified("guided") as seen:
        SMOOTH[name](torch.randn(2, 3, dtype=DOUBLE))
    assert seen.count == 0


@pytest.mark.parametrize("name", HIDDEN)
def test_hidden_spellings_compute_a_relu(name):
    x = torch.randn(2, 3, 4, 4, dtype=DOUBLE)
    torch.testing.assert_close(HIDDEN[name](x.clone()), x.clamp(min=0))


@pytest.mark.parametrize("name", ["ReLU modules", "skip connection, in place", "resnet18", "squeezenet1_1"])
def test_rules_equal_captum_on_networks_of_relu_modules(name):
    attr = pytest.importorskip("captum.attr")
    answers = made(name)
    for method, kind in {"guided-backprop": attr.GuidedBackprop, "deconvolution": attr.Deconvolution}.items():
        with pytest.warns(UserWarning, match="Setting backward hooks on ReLU"):
            theirs = kind(answers.network).attribute(answers.images.clone(), answers.targets)
        torch.testing.assert_close(answers.rectified(RULES[method]), theirs, rtol=1e-9, atol=1e-12)


def test_captum_is_wrong_in_front_of_a_skip_connection_and_the_answer_is_not():
    attr = pytest.importorskip("captum.attr")
    answers = made("pre-activation, modules")
    functional = NETWORKS["pre-activation, functions"].plain()
    functional.load_state_dict(answers.network.state_dict())
    right = answers.rectified("guided")
    for index, (image, target) in enumerate(zip(answers.images, answers.targets.tolist(), strict=True)):
        torch.testing.assert_close(rectified_gradient(functional, image, target, "guided"), right[index])
    with pytest.warns(UserWarning, match="hooks"):
        theirs = attr.GuidedBackprop(answers.network).attribute(answers.images.clone(), answers.targets)
    assert (theirs - right).abs().max() > 0.1 * right.abs().max()


@pytest.mark.parametrize("name", ["ReLU modules", "tokens, registers, ReLU", "GELU", "works on its input in place"])
def test_gradient_equals_central_differences(name):
    answers = made(name)
    image, target = answers.images[0][:, :32, :32], int(answers.targets[0])
    found = gradient(answers.scores, image, target)
    torch.testing.assert_close(found, differences(answers.scores, image, target), rtol=1e-5, atol=1e-8)


def test_smoothed_without_noise_is_the_gradient_and_with_it_is_not():
    answers = made("GELU")
    image, noise = answers.images[0], answers.noise
    plain = gradient(answers.scores, image, 1)
    torch.testing.assert_close(smoothed(answers.scores, image, 1, noise, 0.0), plain)
    noisy = [gradient(answers.scores, image + 0.15 * (image.max() - image.min()) * each, 1) for each in noise]
    torch.testing.assert_close(smoothed(answers.scores, image, 1, noise, 0.15), sum(noisy) / 3)
    assert not torch.allclose(sum(noisy) / 3, plain)


# Layers


def test_the_second_half_is_pooling_and_the_linear_layer():
    answers = made("ReLU modules")
    (activation, slope), target = answers._halves(0), int(answers.targets[0])
    weight = answers.network.head.weight[target].detach().numpy()
    np.testing.assert_allclose(slope, np.broadcast_to(weight[:, None, None], slope.shape) / slope[0].size)
    pooled = weight @ activation.mean(axis=(1, 2)) + float(answers.network.head.bias[target])
    assert pooled == pytest.approx(float(answers.scores(answers.images[:1])[0, target]))


def test_in_place_units_behind_a_layer_do_not_reach_its_activation():
    answers = made("in-place ReLU behind the chosen layer")
    assert answers._halves(0)[0].min() < 0


def test_all_runs_of_one_module_are_told_apart():
    answers = made("one ReLU at three places")
    found = [layers.halves(answers.network, f"relu1#{run}", answers.images[0], lambda y: y[0, 0], lambda v: v)[0]
             for run in range(3)]  # fmt: skip
    assert [value.shape for value in found] == [(6, 32, 32), (8, 8, 8), (10, 8, 8)]


@pytest.mark.parametrize("name", ["ReLU modules", "skip connection, in place"])
def test_grad_cam_and_hires_cam_equal_captum(name):
    attr = pytest.importorskip("captum.attr")
    answers = made(name)
    module = answers.network.get_submodule(answers.case.layer)
    theirs = attr.LayerGradCam(answers.scores, module).attribute(
        answers.images.clone(), answers.targets, relu_attributions=True
    )
    np.testing.assert_allclose(answers.native("grad-cam"), theirs[:, 0].detach().numpy(), rtol=1e-9, atol=1e-12)
    product = attr.LayerGradientXActivation(answers.scores, module).attribute(answers.images.clone(), answers.targets)
    expected = product.sum(1).relu().detach().numpy()
    np.testing.assert_allclose(answers.native("hires-cam"), expected, rtol=1e-9, atol=1e-12)


def test_formulas_by_numbers():
    a = np.array([[[1.0, 2.0]], [[0.0, 3.0]]])
    g = np.array([[[2.0, 0.0]], [[-1.0, 1.0]]])
    np.testing.assert_allclose(layers.cam(a, np.array([1.0, -1.0])), [[1, -1]])
    np.testing.assert_allclose(layers.grad_cam(a, g), [[1, 2]])  # weights 1 and 0
    np.testing.assert_allclose(layers.hires_cam(a, g), [[2, 3]])
    np.testing.assert_allclose(layers.layer_cam(a, g), [[2, 3]])
    np.testing.assert_allclose(layers.xgrad_cam(a, g), [[2 / 3, 4 / 3 + 3]])  # weights 2/3 and 1
    # Channel 0: a = 4 / (8 + 3·8) = 1/8, weight 2/8; channel 1: 1 / (2 + 3·1) = 1/5 (the negative g counts for nothing).
    np.testing.assert_allclose(layers.grad_cam_plus_plus(a, g), [[0.25, 0.5 + 0.6]])


def test_xgrad_cam_gives_channels_that_sum_to_zero_no_weight():
    a = np.array([[[0.1, 0.2, -0.3]]])
    assert a.sum() != 0  # but for rounding it is
    assert not layers.xgrad_cam(a, np.ones_like(a)).any()


@pytest.mark.parametrize(
    ("before", "after"), [((2, 3), (7, 5)), ((8, 8), (32, 32)), ((5, 4), (5, 9)), ((1, 2), (6, 6))]
)
def test_upsampling_equals_torch(before, after):
    values = np.random.default_rng(0).normal(size=before)
    expected = F.interpolate(torch.from_numpy(values)[None, None], size=after, mode="bilinear", align_corners=False)
    np.testing.assert_allclose(layers.upsampled(values, *after), expected[0, 0].numpy(), atol=1e-12)


def test_eigen_cam_is_the_direction_of_largest_energy():
    a = np.random.default_rng(1).normal(size=(4, 3, 5)) + 1
    map_, decided = layers.eigen_cam(a)
    matrix = a.reshape(4, -1)
    values, vectors = np.linalg.eigh(matrix @ matrix.T)
    np.testing.assert_allclose(np.abs(map_).ravel(), np.abs(vectors[:, -1] @ matrix), rtol=1e-9)
    assert (map_**2).sum() == pytest.approx(values[-1])
    assert decided
    assert np.corrcoef(map_.ravel(), matrix.mean(axis=0))[0, 1] > 0


# All layers


def test_full_grad_is_complete_on_relu_networks_and_not_on_smooth_ones():
    for name in ("ReLU modules", "skip connection, in place", "resnet18", "pre-activation, functions"):
        assert all(missed < 1e-10 for _, missed in made(name)._full_grads), name
    for name in ("GELU", "group norm", "normalises its input", "efficientnet_b0"):
        assert not made(name).complete, name


def test_a_bias_contributes_its_value_times_the_gradient_of_its_parameter():
    answers = made("ReLU modules")
    network, image = answers.network, answers.images[0]
    leaf = image[None].clone().requires_grad_()
    with Biases() as biases:
        score = network(leaf.clone())[0, 2]
    spread_out = torch.autograd.grad(score, [value for value, _ in biases.leaves])
    parameters = [network.conv1.bias, network.conv2.bias, network.conv3.bias, network.head.bias]
    direct = torch.autograd.grad(network(image[None].clone())[0, 2], parameters)
    for (value, _), gradients, bias, slope in zip(biases.leaves, spread_out, parameters, direct, strict=True):
        torch.testing.assert_close((value * gradients).sum(), (bias * slope).sum())


def test_full_grad_by_numbers():
    """One 1 × 1 convolution without ReLU: |x·w| and the constant bias term, which scales to nothing."""
    network = nn.Conv2d(1, 1, 1).double()
    nn.init.constant_(network.weight, 3.0)
    nn.init.constant_(network.bias, 0.5)
    image = torch.tensor([[[1.0, -2.0], [0.0, 4.0]]], dtype=DOUBLE)
    map_, missed = full_grad(lambda x: network(x).sum((2, 3)), image, 0)
    np.testing.assert_allclose(map_, np.array([[0.25, 0.5], [0.0, 1.0]]))
    assert missed < 1e-12


@pytest.mark.parametrize(("window", "size"), [((3, 2, 1), (9, 11)), ((3, 1, 1), (5, 6)), ((2, 2, 0), (10, 12))])
def test_spreading_equals_a_transposed_convolution_with_ones(window, size):
    kernel, stride, padding = window
    values = torch.randn(1, 1, 5, 6, dtype=DOUBLE)
    expected = F.conv_transpose2d(values, values.new_ones(1, 1, kernel, kernel), stride=stride, padding=padding)[0, 0]
    found = spread(values[0, 0].numpy(), ((kernel,) * 2, (stride,) * 2, (padding,) * 2), size)
    height, width = min(size[0], expected.shape[0]), min(size[1], expected.shape[1])
    np.testing.assert_allclose(found[:height, :width], expected[:height, :width].numpy())


def test_visual_backprop_by_numbers():
    means = [np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([[10.0, 20.0]])]
    windows = [((1, 1), (1, 1), (0, 0)), ((1, 2), (1, 2), (0, 0))]
    np.testing.assert_allclose(visual_backprop(means, windows, (1, 4)), [[10, 20, 60, 80]])


def test_rollout_of_uniform_attention_is_uniform_and_shares_sum_to_one():
    uniform = torch.full((1, 2, 5, 5), 0.2, dtype=DOUBLE)
    one = rollout([uniform[0]], 1, (2, 2))
    np.testing.assert_allclose(one, np.full((2, 2), 0.1))
    weights = torch.rand(2, 5, 5, dtype=DOUBLE)
    weights /= weights.sum(-1, keepdim=True)
    everything = rollout([weights, weights], 0, (1, 5))
    assert everything.sum() == pytest.approx(1)


def test_attention_by_hand_equals_what_the_libraries_report():
    case = NETWORKS["CLIP ViT"]
    pytest.importorskip("open_clip")
    network, images = case.plain(), case.images()
    seen = []
    for module in network.modules():
        if isinstance(module, nn.MultiheadAttention):
            module.register_forward_pre_hook(lambda m, x: seen.append(m.__class__.forward(m, *x[:1] * 3)[1]))
    with torch.no_grad():
        network(images.clone())
    assert len(seen) == 3
    for by_hand, theirs in zip(case.attention(network, images), list(seen), strict=False):
        torch.testing.assert_close(by_hand.mean(1), theirs)


def test_attention_of_timm_and_hugging_face_by_hand():
    pytest.importorskip("timm")
    case = NETWORKS["timm test_vit"]
    network, images = case.plain(), case.images()
    by_hand, seen = case.attention(network, images), []
    for block in network.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(lambda module, inputs, output: seen.append(output.detach()))
    with torch.no_grad():
        network(images.clone())
    assert len(seen) == len(by_hand) == 6
    for first, second in zip(by_hand, seen, strict=True):
        torch.testing.assert_close(first, second)
    pytest.importorskip("transformers")
    case = NETWORKS["HF ViT"]
    network, images = case.plain(), case.images()
    network.set_attn_implementation("eager")
    with torch.no_grad():
        theirs = network(images, output_attentions=True).attentions
    for first, second in zip(case.attention(network, images), theirs, strict=True):
        torch.testing.assert_close(first, second)


def test_attention_of_the_written_transformer_sums_to_one():
    network = Tokens(4).double().eval()
    from network_structures import written_attention

    blocks = written_attention(network, torch.randn(2, 3, 32, 32, dtype=DOUBLE))
    assert [tuple(block.shape) for block in blocks] == [(2, 2, 68, 68)] * 3
    torch.testing.assert_close(blocks[0].sum(-1), torch.ones(2, 2, 68, dtype=DOUBLE))


# The collection


@pytest.mark.parametrize("case", FAMILIES, ids=lambda case: case.name)
def test_library_networks_are_alive(case):
    if case.group != "torchvision":
        pytest.importorskip({"timm": "timm", "HF": "transformers", "open_clip": "open_clip"}[case.group])
    network, images = case.plain(torch.float32), case.images(dtype=torch.float32)
    leaf = images.clone().requires_grad_()
    scores = case.scores(network(leaf))
    slope = torch.autograd.grad(scores[:, 0].sum(), leaf)[0]
    assert torch.isfinite(scores).all()
    assert (scores[0] - scores[1]).abs().max() > 1e-3 * scores.abs().max()
    assert (slope != 0).float().mean() > 0.5
    assert case.layer in dict(network.named_modules())


@pytest.mark.parametrize("case", TRAPS, ids=lambda case: case.name)
def test_what_the_user_passes_computes_what_the_plain_network_computes(case):
    if case.name in OTHERWISE or case.refused >= METHODS:
        pytest.skip("differs on purpose, or has no scores")
    plain, images = case.plain(), case.images()
    given = case.given_network(plain)
    # Some of these look into one image of a batch through its neighbours, so both get the same batch.
    returned = given(images.clone())
    torch.testing.assert_close(case.scores(returned), case.scores(plain(images.clone())), rtol=1e-9, atol=1e-9)


def test_networks_and_images_are_always_the_same():
    case = NETWORKS["skip connection, in place"]
    first, second = case.plain().state_dict(), case.plain().state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert torch.equal(case.images(), case.images())


def test_traces_name_what_was_left():
    network = Modular()
    network.register_buffer("seen", torch.zeros(1))
    traces = Traces(network)
    assert traces.left() == []
    network(torch.randn(1, 3, 8, 8)).sum().backward()
    network.conv1.register_forward_hook(lambda *_: None)
    network.relu1 = nn.Identity()
    network.conv2.bias.requires_grad_(False)
    network.seen += 1
    network.train(False)
    network.conv3.weight.data.add_(1)
    assert set(traces.left()) >= {"modes", "modules", "hooks", "flags", "gradients", "buffers"}
    with torch.no_grad():
        network.conv3.weight.add_(1)
    assert "parameters" in traces.left()
