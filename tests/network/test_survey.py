"""The layers of a network told from one run."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from small import Chain, Residual, Tokens, lively
from torch import nn

import explainers
from explainers.errors import UnsupportedError
from explainers.network.survey import survey


def stages(network, *shape):
    seen = survey(network, torch.randn(1, *shape), lambda returned, count: returned)
    return [layer.label for layer in seen.stages]


def test_stages_are_the_last_layers_of_each_resolution_or_the_blocks():
    assert stages(lively(Chain()), 3, 16, 24) == ["act", "last"]
    assert stages(lively(Residual()), 3, 16, 24) == ["stem", "block"]
    assert stages(lively(Tokens()), 3, 16, 24)[-1] == "blocks.1.norm"
    assert stages(lively(Tokens(pooled=True)), 3, 16, 24)[-1] == "norm"


class OwnBorder(torch.nn.Module):
    """A padding by another name."""

    def forward(self, images):
        return torch.nn.functional.pad(images, (2, 2, 2, 2))


@pytest.mark.parametrize(
    "padding",
    [
        torch.nn.ZeroPad2d(2),
        torch.nn.ConstantPad2d(2, 1.0),
        torch.nn.ReflectionPad2d(2),
        torch.nn.ReplicationPad2d(2),
        torch.nn.CircularPad2d(2),
        OwnBorder(),
    ],
    ids=lambda module: type(module).__name__,
)
def test_a_padding_is_a_layer_and_no_stage(padding):
    network = torch.nn.Sequential(
        torch.nn.ZeroPad2d(3), torch.nn.Conv2d(3, 4, 7, stride=2), torch.nn.ReLU(), padding, torch.nn.AvgPool2d(2),
        torch.nn.Conv2d(4, 6, 3), torch.nn.ReLU(), padding, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
        torch.nn.Linear(6, 3),
    )  # fmt: skip
    assert stages(lively(network), 3, 32, 32) == ["2", "6"]
    images = torch.randn(1, 3, 32, 32)
    seen = survey(network, images, lambda returned, count: returned)
    assert seen.find("0").name == "0"  # by its name it can be asked for
    torch.testing.assert_close(
        explainers.create("grad-cam", network)(images), explainers.create("grad-cam", network, layer="6")(images)
    )


class Bound(torch.nn.Module):
    """Brings a second input, a row for each image of a batch."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.features = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU())
        self.fc = torch.nn.Linear(8, 5)
        self.register_buffer("table", torch.randn(rows, 8))

    def forward(self, images):
        return self.fc(self.features(images).mean((2, 3)) + self.table)


def test_a_batch_through_a_wrapper_that_binds_a_second_input_is_explained_row_by_row():
    network, images = Bound(3), torch.randn(3, 3, 8, 8)
    maps = explainers.GradCAM(network)(images, targets=2)
    for row in range(3):
        single = Bound(1)
        single.load_state_dict({**network.state_dict(), "table": network.table[row : row + 1]})
        torch.testing.assert_close(maps[row], explainers.GradCAM(single)(images[row : row + 1], targets=2)[0])


def test_other_numbers_of_images_than_a_wrapper_binds_are_refused_with_the_cause():
    with pytest.raises(explainers.errors.OutputError, match="bind a second input of another number of images"):
        explainers.RISE(Bound(3), masks=20)(torch.randn(3, 3, 8, 8))


@pytest.mark.parametrize("call", [lambda images, more: images, lambda *, images: images, lambda: None])
def test_what_does_not_take_one_batch_is_refused_at_once(call):
    with pytest.raises(explainers.errors.UnsupportedError, match="explained is what takes one batch of images"):
        explainers.RISE(call)(torch.rand(1, 3, 8, 8))


@pytest.mark.filterwarnings("ignore:torch.ao.quantization")
def test_a_network_whose_end_is_quantised_is_refused_for_its_gradient_and_its_layers_are_found():
    torch.manual_seed(0)
    parts = [
        torch.nn.Conv2d(3, 4, 3),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(4, 3),
    ]
    network = torch.ao.quantization.quantize_dynamic(torch.nn.Sequential(*parts).eval(), {torch.nn.Linear})
    images = torch.rand(1, 3, 8, 8)
    for name in ("grad-cam", "layer-cam", "full-grad", "saliency", "guided-backprop"):
        with pytest.raises(UnsupportedError, match="carry no gradient.*is quantised.*rise, occlusion"):
            explainers.create(name, network)(images)
    for name in ("score-cam", "eigen-cam"):
        explainer = explainers.create(name, network)
        assert explainer(images).shape == (1, 8, 8)
        assert explainer.layers == ("1",)


class LearnedQueries(nn.Module):
    """What the decoder of a DETR is: queries that are weights read the positions, and their number could be a grid's."""

    def __init__(self, fused: bool, queries: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU())
        self.queries = nn.Parameter(torch.randn(1, queries, 8))
        self.fused, self.norm, self.head = fused, nn.LayerNorm(8), nn.Linear(8, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        places = self.trunk(images).flatten(2).mT.contiguous()  # or the attention is not fused
        if self.fused:
            read = F.scaled_dot_product_attention(self.queries[:, None].expand(len(images), 1, -1, 8),
                                                  places[:, None], places[:, None])[:, 0]  # fmt: skip
        else:
            read = (self.queries @ places.mT).softmax(-1) @ places
        return self.head(self.norm(self.queries + read)).mean(1)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("queries", [16, 17])
def test_learned_queries_are_no_positions_even_where_they_are_as_many(fused, queries):
    torch.manual_seed(0)
    network = LearnedQueries(fused, queries).eval()
    images = torch.rand(1, 3, 8, 8)
    grad_cam = explainers.GradCAM(network)
    found = grad_cam(images, 1)
    assert grad_cam.layers == ("trunk",)
    kept = network.trunk(images).detach().requires_grad_()
    network.trunk = nn.Identity()
    (gradient,) = torch.autograd.grad(network(kept)[0, 1], kept)
    by_hand = (gradient.mean((2, 3), keepdim=True) * kept).sum(1, keepdim=True).clamp(min=0)
    torch.testing.assert_close(found[:, None], F.interpolate(by_hand, size=(8, 8), mode="bilinear"))
