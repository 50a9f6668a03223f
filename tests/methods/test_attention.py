"""Maps of networks that make them by themselves: wrapped ones, timm's lambda layers, and what is refused."""

from __future__ import annotations

import pytest
import timm
import torch
from small import Chain, Tokens, lively
from timm.layers.lambda_layer import LambdaLayer
from torch import Tensor, nn

import explainers
from explainers.baselines import ABN, LABN, Branches, resnet
from explainers.errors import LayerError, OutputError, UnsupportedError
from explainers.methods.attention.attention import content_of


class Halved(nn.Module):
    """A network inside another one that scales the image."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"logits": self.inner(x / 2)}


def test_a_wrapped_network_shows_the_map_of_what_it_sees():
    inner, images = lively(LABN(channels=3, scope=3)), torch.randn(2, 3, 32, 32)
    found = explainers.create("attention", Halved(inner))(images)
    torch.testing.assert_close(found, explainers.create("attention", inner)(images / 2))
    assert not torch.equal(found, explainers.create("attention", inner)(images))


def test_two_branches_are_one_too_many():
    both = nn.Sequential(Halved(LABN(channels=3, scope=3)), LABN(channels=3, scope=3)).eval()
    with pytest.raises(UnsupportedError, match="it has 2 attention branches, and it is not clear whose map is meant"):
        explainers.create("attention", both)(torch.randn(1, 3, 32, 32))


def test_the_map_is_never_that_of_another_batch():
    network = lively(ABN(resnet("small-resnet", classes=3)))
    first, second = torch.randn(2, 2, 3, 32, 32)
    network(second)
    explainer = explainers.create("attention", network)
    alone = explainer(first)
    network(second)
    torch.testing.assert_close(explainer(first), alone)


class Own(nn.Module):
    """Somebody's own network that follows the protocol, with a map of the wrong shape."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape, self.conv = shape, nn.Conv2d(3, 2, 1)

    def forward_branches(self, images: Tensor) -> Branches:
        logits = self.conv(images).mean((2, 3))
        return Branches(logits, logits, torch.zeros(self.shape), images)

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_branches(images).logits


@pytest.mark.parametrize("shape", [(2, 8, 8), (1, 1, 8, 8), (2, 3, 8, 8)])
def test_a_map_of_another_shape_is_refused(shape):
    with pytest.raises(OutputError) as error:
        explainers.create("attention", Own(shape))(torch.randn(2, 3, 16, 16))
    assert str(error.value) == f"forward_branches gave an attention_map of {shape}; expected (2, 1, h, w)"


def test_refusals_say_what_to_do():
    for method, why in (("attention", "it has no attention branch"), ("lambda-attention", "it has no lambda layers")):
        for network in (lively(Chain()), lambda images: images.mean((2, 3))):
            with pytest.raises(UnsupportedError, match=f"{method} cannot be right on this network: {why}. Use "):
                explainers.create(method, network)(torch.randn(1, 3, 16, 24))


def test_lambda_layers_are_chosen_by_name_module_or_number():
    network = lively(resnet("small-lambda-resnet", classes=3, scope=3))
    images = torch.randn(2, 3, 48, 48)
    by_name = explainers.create("lambda-attention", network, layer="layer2.0.conv2")
    default = explainers.create("lambda-attention", network)
    torch.testing.assert_close(default(images), by_name(images))
    assert default.layers == by_name.layers == ("layer2.0.conv2",)
    last = network.layer4[0].conv2
    chosen = [
        explainers.create("lambda-attention", network, layer=each)(images) for each in (-1, last, "layer4.0.conv2")
    ]
    assert torch.equal(chosen[0], chosen[1])
    assert torch.equal(chosen[0], chosen[2])
    assert not torch.equal(chosen[0], default(images))
    with pytest.raises(LayerError) as error:
        explainers.create("lambda-attention", network, layer="layer1")(images)
    assert str(error.value) == (
        "layer='layer1' is no lambda layer; there are layer1.0.conv2, layer2.0.conv2, layer3.0.conv2, layer4.0.conv2, or a "
        "number from -4 to -1"
    )


def test_content_of_timms_layer_is_its_output_without_position():
    """With the position convolution at zero the layer's whole output is its content."""
    layer = LambdaLayer(16, 16, num_heads=4, dim_head=5, r=3).double().eval()
    with torch.no_grad():
        for value in layer.parameters():
            value.normal_()
        layer.norm_q.running_mean.normal_()
        layer.norm_v.running_var.uniform_(0.5, 2)
        layer.conv_lambda.weight.zero_()
        layer.conv_lambda.bias.zero_()
    x = torch.randn(2, 16, 5, 7, dtype=torch.float64)
    torch.testing.assert_close(content_of(layer)(x), layer(x))


def test_timms_lambda_resnet_has_a_map():
    network = timm.create_model("lambda_resnet26t", num_classes=3).eval()
    images = torch.randn(2, 3, 64, 64)
    explainer = explainers.create("lambda-attention", network)
    assert explainer(images, [[0, 2], [1, 1]]).shape == (2, 2, 64, 64)
    assert explainer.layers == ("stages.3.0.self_attn",)


class Seeing(nn.Module):
    """A network behind a change of its images."""

    def __init__(self, network, change):
        super().__init__()
        self.network, self.change = network, change

    def forward(self, images):
        return self.network(self.change(images))


@pytest.mark.parametrize("method", ["attention", "lambda-attention"])
def test_positions_are_the_images_or_it_is_refused(method):
    network = lively(LABN(channels=3, classes=5, scope=3))
    images = torch.randn(1, 3, 24, 32)
    turned = explainers.create(method, Seeing(network, lambda x: x.mT))(images, 1)
    wanted = explainers.create(method, network)(images.mT.contiguous(), 1).mT
    torch.testing.assert_close(turned, wanted, rtol=1e-4, atol=1e-6)
    for change in (lambda x: x.flip(3), lambda x: x[:, :, 8:, 8:], lambda x: x.roll(5, 2)):
        with pytest.raises(LayerError, match="cannot be tied to the image"):
            explainers.create(method, Seeing(network, change))(images, 1)


@pytest.mark.parametrize("method", ["attention", "lambda-attention", "attention-rollout"])
def test_what_a_network_does_to_positions_is_looked_at_once_for_a_size(method):
    """Behind the first images a call passes the network once; that a wrapped one of the ABN family runs its branches
    again is no pass of the whole."""
    inner = lively(Tokens() if method == "attention-rollout" else LABN(channels=3, classes=5, scope=3))
    network, ran = Seeing(inner, lambda x: x.mT), []
    network.register_forward_hook(lambda *_: ran.append(1))
    explainer, images = explainers.create(method, network.eval()), torch.randn(2, 3, 24, 16)
    first = explainer(images, 1)
    ran.clear()
    assert torch.equal(explainer(images, 1), first)
    assert len(ran) == 1
