"""GAIN: its map is Grad-CAM's, with a graph through the gradient; what it mines, and what it leaves as it was."""

from __future__ import annotations

from copy import deepcopy

import pytest
import timm
import torch
import torch.nn.functional as F
from small import Chain, Residual, Tokens, lively
from snapshot import same, snapshot
from torch import Tensor, nn

import explainers
from explainers.baselines import GAIN, create_network, resnet
from explainers.baselines.losses.loss import forward
from explainers.core.maps import scaled, upsample
from explainers.errors import LayerError, OptionError

CLASSES = torch.tensor([0, 2, 1])


def guided(network: nn.Module, dtype: torch.dtype = torch.float64, **options) -> GAIN:
    torch.manual_seed(0)
    return GAIN(lively(network), **options).to(dtype)


def photos(dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(3, 3, 40, 56, generator=torch.Generator().manual_seed(1)).to(dtype)


def cam_by_hand(network: GAIN, layer: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    """(N, 1, h, w) in 0 … 1, of the layer's output kept by a hook, an image and a channel after the other."""
    seen: list[Tensor] = []
    handle = layer.register_forward_hook(lambda *call: seen.append(call[2]))
    scores = network.classifier(images)
    handle.remove()
    (gradient,) = torch.autograd.grad(scores[torch.arange(len(images)), classes].sum(), seen[0], create_graph=True)
    maps = []
    for activation, slope in zip(seen[0], gradient, strict=True):
        found = sum(slope[k].mean() * activation[k] for k in range(len(activation))).clamp(min=0)
        maps.append((found - found.min()) / (found.max() - found.min()))
    return torch.stack(maps)[:, None]


@pytest.mark.parametrize("network", [Chain, Residual, lambda: resnet("small-resnet", classes=4), Tokens])
@pytest.mark.parametrize("training", [False, True])
def test_the_map_is_grad_cams_of_the_same_weights(network, training):
    """With batch norm by its running statistics, as Grad-CAM sees it; the rest in training mode."""
    network, images = guided(network(), torch.float32), photos(torch.float32)
    network.train(training)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    made = network.forward_branches(images, classes=CLASSES)
    expected = explainers.create("grad-cam", network.classifier)(images, CLASSES)
    own = scaled(upsample(made.attention_map.detach(), images.shape[2:]))[:, 0]
    assert made.attention_map.requires_grad
    assert float((own - scaled(expected)).abs().max()) <= 1e-6
    assert float(own.std()) > 0.05


@pytest.mark.parametrize("training", [False, True])
def test_the_map_and_the_mining_logits_by_hand(training):
    network, images = guided(resnet("small-resnet", classes=4), threshold=0.4, omega=7.0), photos()
    network.train(training)
    made = network.forward_branches(images, classes=CLASSES)
    expected = cam_by_hand(network, network.classifier.layer4, images, CLASSES)
    torch.testing.assert_close(made.attention_map, expected)
    torch.testing.assert_close(made.logits, network.classifier(images))
    large = F.interpolate(expected, size=(40, 56), mode="bilinear")
    left = images - images / (1 + (-7 * (large - 0.4)).exp())
    torch.testing.assert_close(made.mining_logits, network.classifier(left))


def mining_loss(network: GAIN, images: Tensor) -> Tensor:
    made = network.forward_branches(images, classes=CLASSES)
    return made.mining_logits.softmax(1).gather(1, CLASSES[:, None]).mean()


def activations_alone(network: GAIN, layer: nn.Module, images: Tensor) -> Tensor:
    """The mining loss with the channels' weights held fixed, as where the gradient has no graph."""
    seen: list[Tensor] = []
    handle = layer.register_forward_hook(lambda *call: seen.append(call[2]))
    scores = network.classifier(images)
    handle.remove()
    (slope,) = torch.autograd.grad(scores.gather(1, CLASSES[:, None]).sum(), seen[0], retain_graph=True)
    made = (slope.mean((2, 3), keepdim=True) * seen[0]).sum(1, keepdim=True).relu()
    low, high = made.amin((2, 3), keepdim=True), made.amax((2, 3), keepdim=True)
    large = F.interpolate((made - low) / (high - low), size=images.shape[2:], mode="bilinear")
    left = images - (10 * (large - 0.5)).sigmoid() * images
    return network.classifier(left).softmax(1).gather(1, CLASSES[:, None]).mean()


@pytest.mark.parametrize(
    ("layer", "of"),
    [
        # Behind the last stage the scores are linear, so its gradient is the last layer's weights and nothing else.
        ("block", "head.weight"),
        # Batch norm behind the stem scales its gradient by what the first convolution makes.
        ("stem", "stem.0.weight"),
    ],
)
def test_the_mining_loss_reaches_the_weights_through_the_gradient_too(layer, of):
    network, images = guided(Residual(), layer=layer).train(), photos()
    first, named = network.classifier.stem[0].weight, network.classifier.get_parameter(of)
    loss, fixed = mining_loss(network, images), activations_alone(network, getattr(network.classifier, layer), images)
    torch.testing.assert_close(fixed, loss)  # the same value
    whole_first, whole = torch.autograd.grad(loss, (first, named))
    assert float(whole_first.abs().max()) > 1e-4
    (part,) = torch.autograd.grad(fixed, named)
    assert float((whole - part).abs().max()) > 0.01 * float(whole.abs().max())


def test_the_gradient_of_the_mining_loss_is_its_slope():
    """Along a random direction of all weights, against differences; the last layer counts through the map as well."""
    network, images = guided(Chain(classes=4)).train(), photos()
    weights = list(network.parameters())
    rng = torch.Generator().manual_seed(3)
    direction = [torch.randn(value.shape, generator=rng, dtype=value.dtype) for value in weights]
    gradients = torch.autograd.grad(mining_loss(network, images), weights)
    slope = sum(float((one * two).sum()) for one, two in zip(gradients, direction, strict=True))
    values, step = [], 1e-6
    for sign in (1, -2):
        with torch.no_grad():
            for value, way in zip(weights, direction, strict=True):
                value += sign * step * way
        values.append(float(mining_loss(network, images).detach()))
    assert slope == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-4)
    assert abs(slope) > 1e-4


def test_a_transformer_with_fused_attention_is_trained_through_its_map():
    """Fused kernels have no second derivative, so training runs without; the map stays Grad-CAM's."""
    network = guided(timm.create_model("test_vit", num_classes=4, img_size=64), torch.float32)
    images = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    made = network.train().forward_branches(images, classes=CLASSES)
    expected = explainers.create("grad-cam", network.classifier)(images, CLASSES)
    own = scaled(upsample(made.attention_map.detach(), images.shape[2:]))[:, 0]
    assert float((own - scaled(expected)).abs().max()) <= 1e-6
    made.mining_logits.softmax(1)[:, 0].sum().backward()
    assert all(bool(value.grad.isfinite().all()) for value in network.parameters() if value.grad is not None)
    assert bool(network.classifier.patch_embed.proj.weight.grad.any())


def test_a_map_of_nothing_is_zero_and_has_a_finite_gradient():
    network = guided(Chain(classes=3))
    with torch.no_grad():
        network.classifier.second.bias.fill_(-1e3)  # no unit of the layer fires
    made = network.forward_branches(photos(), classes=CLASSES)
    assert not bool(made.attention_map.any())
    gradients = torch.autograd.grad(made.mining_logits.sum(), list(network.parameters()), allow_unused=True)
    assert all(bool(each.isfinite().all()) for each in gradients if each is not None)


def test_without_classes_the_map_is_of_the_predicted_ones():
    network, images = guided(resnet("small-resnet", classes=4)).eval(), photos()
    predicted = network(images).argmax(1)
    made = network.forward_branches(images)
    torch.testing.assert_close(made.attention_map, network.forward_branches(images, classes=predicted).attention_map)
    other = network.forward_branches(images, classes=(predicted + 1) % 4).attention_map
    assert float((made.attention_map - other).detach().abs().max()) > 0.1
    shown = explainers.create("attention", network)(images, (predicted + 1) % 4)
    torch.testing.assert_close(shown[:, None], upsample(made.attention_map.detach(), images.shape[2:]).float())
    step = forward(network, images, classes=predicted)  # what the trainer calls
    torch.testing.assert_close(step.attention_map, made.attention_map)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_maps_without_a_graph_are_the_same(mode):
    network, images = guided(Residual()).eval(), photos()
    expected = network.forward_branches(images, classes=CLASSES)
    mined = expected.mining_logits.detach()
    with mode():
        made = network.forward_branches(images.clone(), classes=CLASSES)
        torch.testing.assert_close(made.mining_logits, mined)
    torch.testing.assert_close(made.attention_map, expected.attention_map.detach())
    assert not any(value.requires_grad for value in (made.logits, made.attention_map, made.features))


def test_finding_the_layer_and_mining_leave_the_classifier_as_one_pass_does():
    network = guided(resnet("small-resnet", classes=4)).train()
    plain = deepcopy(network)
    assert bool(network.forward_branches(photos(), classes=CLASSES).mining_logits.isfinite().all())
    plain(photos())
    expected, found = plain.state_dict(), network.state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    before = snapshot(network)
    network.eval()
    network.forward_branches(photos())
    network.train()
    assert same(before, snapshot(network))


def test_a_given_map_decides_what_is_mined_and_not_the_scores():
    network, images = guided(Residual(), omega=5.0).eval(), photos()
    given = torch.rand(1, 1, 20, 28, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    made = network.forward_branches(images, attention_map=given)
    torch.testing.assert_close(made.logits, network(images))
    large = F.interpolate(given, size=(40, 56), mode="bilinear")
    torch.testing.assert_close(made.mining_logits, network(images * (1 - (5 * (large - 0.5)).sigmoid())))
    with pytest.raises(OptionError, match=r"attention_map of shape \(1, 1, 3, 3\); expected \(3, 1, 20, 28\)"):
        network.forward_branches(images, attention_map=torch.zeros(1, 1, 3, 3))


def test_a_map_belongs_to_its_image():
    network, images = guided(resnet("small-resnet", classes=4)).eval(), photos()
    together = network.forward_branches(images)
    for row, image in enumerate(images):
        alone = network.forward_branches(image[None])
        torch.testing.assert_close(together.attention_map[row], alone.attention_map[0])
        torch.testing.assert_close(together.mining_logits[row], alone.mining_logits[0])


def test_another_layer_can_be_named():
    network, images = guided(resnet("small-resnet", classes=4), layer="layer3").eval(), photos()
    made = network.forward_branches(images, classes=CLASSES)
    torch.testing.assert_close(made.attention_map, cam_by_hand(network, network.classifier.layer3, images, CLASSES))


@pytest.mark.parametrize(
    ("network", "layer", "message"),
    [
        (Chain, "third", 'no layer "third" in Chain; spatial layers are'),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 40 * 56, 4)), "", "Sequential has no spatial layer that"),
    ],
)
def test_a_layer_that_is_not_there_is_refused(network, layer, message):
    with pytest.raises(LayerError, match=message):
        GAIN(network(), layer=layer).forward_branches(photos(torch.float32))


def test_numbers_outside_their_range_are_refused():
    with pytest.raises(OptionError, match="threshold=2; expected 0 … 1"):
        GAIN(Chain(), threshold=2)
    with pytest.raises(OptionError, match="omega=-1.0; expected a positive slope"):
        create_network("gain", channels=3, classes=2, omega=-1.0)
