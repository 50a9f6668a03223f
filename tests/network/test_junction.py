"""Branches that no module joins: the layer is where they meet, or in front of them, or they are named."""

from __future__ import annotations

import warnings

import pytest
import torch
import torch.nn.functional as F
from small import lively
from torch import nn

import explainers
from explainers.errors import LayerError, UnsupportedError
from explainers.network.survey import survey

IMAGES = torch.randn(2, 3, 12, 16, generator=torch.Generator().manual_seed(1))


def added_in_place(one, two):
    one += two
    return one


def added_by_statement(one, two):
    one.add_(two)
    return one


JOINS = {
    "cat": lambda one, two: torch.cat([one, two], dim=1),
    "add": torch.add,
    "sum": lambda one, two: F.relu(one + two),
    "maximum": torch.maximum,
    "amax": lambda one, two: torch.stack([one, two], dim=1).amax(1),
    "mul": lambda one, two: one * two.sigmoid(),
    "+=": added_in_place,
    "add_": added_by_statement,
    "relu_": lambda one, two: torch.relu_(added_in_place(one, two)),
}


class Joining(nn.Module):
    def __init__(self, join) -> None:
        super().__init__()
        self.join = join

    def forward(self, one, two):
        return self.join(one, two)


class Branches(nn.Module):
    """Two branches behind one stem, or from the image; joined by an operation, or by a module that does the same."""

    def __init__(self, join, *, stem=True, module=False) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, stride=2, padding=1) if stem else nn.Identity()
        self.one = nn.Conv2d(4 if stem else 3, 5, 3, padding=1)
        self.two = nn.Conv2d(4 if stem else 3, 5, 1)
        self.join = Joining(join) if module else join
        self.head = nn.LazyLinear(3)

    def forward(self, images):
        stem = self.stem(images)
        return self.head(self.join(self.one(stem), self.two(stem)).mean((2, 3)))


def pair(name, **settings):
    """The network with an operation, and the same network with a module in its place."""
    networks = []
    for module in (False, True):
        torch.manual_seed(0)
        network = Branches(JOINS[name], module=module, **settings)
        with torch.no_grad():
            network(IMAGES)
        networks.append(lively(network))
    return networks


@pytest.mark.parametrize("name", JOINS)
def test_where_an_operation_joins_branches_the_map_is_that_of_a_module_in_its_place(name):
    network, modular = pair(name, stem=name != "cat")
    before = {key: value.clone() for key, value in network.state_dict().items()}
    for method in (
        "grad-cam",
        "layer-cam",
        "eigen-cam",
        *(("cam", "ablation-cam", "score-cam") if name in ("cat", "+=") else ()),
    ):
        explainer = explainers.create(method, network)
        found = explainer(IMAGES, targets=1)
        expected = explainers.create(method, modular, layer="join")(IMAGES, targets=1)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
        assert explainer.layers[0].endswith("(one, two)") or name in ("sum", "amax", "relu_")
        by_name = explainers.create(method, network, layer=explainer.layers[0])
        torch.testing.assert_close(by_name(IMAGES, targets=1), found)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_a_joined_layer_is_the_last_stage_and_its_branches_can_be_named():
    network, _ = pair("cat")
    seen = survey(network, IMAGES[:1], lambda returned, count: returned)
    assert [layer.label for layer in seen.stages] == ["two", "cat(one, two)"]
    maps = explainers.create("grad-cam", network, layer=[None, "one", "two"])(IMAGES, targets=0)
    alone = explainers.create("grad-cam", network, layer="one")(IMAGES, targets=0)
    torch.testing.assert_close(maps[:, 1], alone)
    with pytest.raises(UnsupportedError, match=r'layer "cat\(one, two\)" is an operation'):
        explainers.create("captum:LayerActivation", network)(IMAGES, targets=0)


class Frozen(Branches):
    """Features without a graph."""

    def forward(self, images):
        with torch.no_grad():
            stem = self.stem(images)
            joined = F.relu(torch.cat([self.one(stem), self.two(stem)], dim=1))
        return self.head(joined.mean((2, 3)))


def test_branches_that_run_without_a_graph_are_joined_too():
    network = Frozen(None)
    network(IMAGES)
    explainer = explainers.create("grad-cam", lively(network))
    found = explainer(IMAGES, targets=2)
    assert explainer.layers == ("relu(cat(one, two))",)
    stem = network.stem(IMAGES)
    features = torch.cat([network.one(stem), network.two(stem)], dim=1).relu()
    expected = (network.head.weight[2][None, :, None, None] * features).sum(1, keepdim=True).relu().detach() / 48
    up = F.interpolate(expected, size=(12, 16), mode="bilinear")[:, 0]
    torch.testing.assert_close(found, up, rtol=1e-4, atol=1e-6)


class Late(nn.Module):
    """Branches that meet as vectors alone."""

    def __init__(self, *, stem: bool, colours: bool = False) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1) if stem else None
        self.one = nn.Conv2d(4 if stem else 3, 5, 3, stride=2)
        self.two = None if colours else nn.Conv2d(4 if stem else 3, 5, 3, stride=4)
        self.head = nn.LazyLinear(3)

    def forward(self, images):
        stem = images if self.stem is None else self.stem(images)
        one = self.one(stem)
        two = images if self.two is None else self.two(stem)
        return self.head(torch.cat([one.mean((2, 3)), two.mean((2, 3))], dim=1))


def late(**settings):
    network = Late(**settings)
    with torch.no_grad():
        network(IMAGES)
    return lively(network)


def test_branches_that_meet_as_vectors_are_explained_in_front_of_them_with_a_remark():
    network = late(stem=True)
    with pytest.warns(UserWarning, match=r'layer=None is "stem" of Late: .* branches \("one", "two"\)'):
        found = explainers.create("grad-cam", network)(IMAGES, targets=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing to say of a layer that was named
        torch.testing.assert_close(explainers.create("grad-cam", network, layer="stem")(IMAGES, targets=0), found)


def test_branches_from_the_image_that_meet_as_vectors_are_refused_by_their_names():
    network = late(stem=False)
    with pytest.raises(LayerError, match=r'several branches \("one", "two"\) .* layer="two"'):
        explainers.create("grad-cam", network)(IMAGES, targets=0)
    assert explainers.create("grad-cam", network, layer=["one", "two"])(IMAGES, targets=0).shape == (2, 2, 12, 16)


def test_numbers_that_go_past_the_only_layer_are_said():
    with pytest.warns(UserWarning, match='layer "one" of Late is all that has positions'):
        explainers.create("grad-cam", late(stem=False, colours=True))(IMAGES, targets=0)
