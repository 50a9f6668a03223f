"""A map from outside in place of a network's own, and the pooled features that losses look at."""

from __future__ import annotations

import pytest
import torch

from explainers.baselines import ABN, LABN, resnet
from explainers.errors import OptionError


@pytest.fixture(params=["abn", "abn without bypass", "labn"])
def network_and_images(request):
    torch.manual_seed(0)
    if request.param == "labn":
        network = LABN("magnetogram", channels=1, classes=2, scope=5)
    else:
        network = ABN(resnet("small-resnet", channels=1, classes=2), bypass=request.param == "abn")
    return network.eval(), torch.randn(3, 1, 40, 56)


def test_a_given_map_takes_the_place_of_the_networks_own(network_and_images):
    network, images = network_and_images
    own = network.forward_branches(images)
    given = network.forward_branches(images, attention_map=own.attention_map)
    torch.testing.assert_close(given.logits, own.logits)
    assert given.attention_logits is None
    edited = torch.rand_like(own.attention_map)
    by_hand = network.head(network.perception(network.gate(own.features, edited)))
    torch.testing.assert_close(network.forward_branches(images, attention_map=edited).logits, by_hand)
    ones = network.forward_branches(images, attention_map=torch.ones_like(edited))
    torch.testing.assert_close(network.forward_branches(images, attention_map=1.0).logits, ones.logits)


def test_a_given_map_does_not_run_the_attention_branch(network_and_images, monkeypatch):
    network, images = network_and_images
    monkeypatch.setattr(network.attention, "forward", None)
    assert network.forward_branches(images, attention_map=0.5).logits.shape == (len(images), 2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            torch.rand(2, 1, 3, 5),
            r"attention_map of shape \(2, 1, 3, 5\); expected \(3, 1, \d+, \d+\), a value for each",
        ),
        (1.5, r"attention_map with values in 1.5 … 1.5; expected 0 … 1"),
        (float("nan"), r"attention_map with values in nan … nan; expected 0 … 1"),
    ],
)
def test_a_given_map_that_does_not_fit_is_refused(network_and_images, given, message):
    network, images = network_and_images
    with pytest.raises(OptionError, match=message):
        network.forward_branches(images, attention_map=given)


def test_pooled_features_are_what_the_last_layers_read(network_and_images):
    network, images = network_and_images
    branches = network.forward_branches(images)
    torch.testing.assert_close(network.head[-1](branches.perception_pooled), branches.logits)
    body = network.attention.body(branches.features)
    torch.testing.assert_close(branches.attention_pooled, body.flatten(2).mean(2))
    assert branches.mining_logits is None


def test_whoever_watches_a_part_sees_it_run(network_and_images):
    network, images = network_and_images
    seen = []
    for part in (network.features, network.attention, network.gate, network.perception, network.head):
        part.register_forward_hook(lambda module, _arguments, _result: seen.append(module))
    network(images)
    assert seen == [network.features, network.attention, network.gate, network.perception, network.head]
