"""Layers of networks that hand features on by hooks of their own, as backbones of transformers do."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import explainers


class HandedOn(nn.Module):
    """A decoder that gets the first layer's output from a hook, and the second's in the usual way."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 2, 1)
        self.kept = {}
        self.first.register_forward_hook(self._keep)

    def _keep(self, _, __, returned):
        self.kept["first"] = returned

    def forward(self, images):
        behind = self.second(self.first(images)).relu()
        return self.head(behind + 2 * self.kept["first"]).relu().mean((2, 3))


def behind(network, values):
    """The scores of HandedOn for what its first layer gives, by both ways."""
    return network.head(network.second(values).relu() + 2 * values).relu().mean((2, 3))


@pytest.mark.parametrize("recorded", [True, False])
def test_a_layer_whose_output_a_hook_hands_on_is_captured_with_both_ways(recorded):
    network, images = HandedOn().eval(), torch.rand(1, 3, 10, 10)
    network.requires_grad_(recorded)
    values = network.first(images).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(behind(network, values)[0, 1], values)
    by_hand = (gradient.mean((2, 3), keepdim=True) * values).sum(1, keepdim=True).relu()
    found = explainers.GradCAM(network, layer="first")(images, 1)
    torch.testing.assert_close(found, F.interpolate(by_hand.detach(), size=(10, 10), mode="bilinear")[:, 0])


def test_a_channel_is_taken_from_both_ways():
    network, images = HandedOn().eval(), torch.rand(1, 3, 10, 10)
    with torch.no_grad():
        values = network.first(images)
        whole = behind(network, values)[:, 1]
        drops = torch.stack(
            [(whole - behind(network, values * (torch.arange(4) != c)[:, None, None])[:, 1]) for c in range(4)]
        )
        by_hand = ((drops / whole)[:, 0, None, None] * values[0]).sum(0).relu()
    found = explainers.create("ablation-cam", network, layer="first", activation=None)(images, 1)
    torch.testing.assert_close(found, F.interpolate(by_hand[None, None], size=(10, 10), mode="bilinear")[:, 0])


@pytest.mark.parametrize("in_place", [True, False])
def test_what_a_hook_makes_of_the_output_is_what_is_captured(in_place):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval()
    factors = torch.tensor([1.0, 0, 3, -2])[:, None, None]
    network[0].register_forward_hook(lambda _, __, y: y.mul_(factors) if in_place else y * factors)
    images = torch.rand(1, 3, 10, 10)
    values = nn.functional.conv2d(images, network[0].weight, network[0].bias) * factors
    by_hand = (values * network[3].weight[1][:, None, None] / 64).sum(1, keepdim=True).relu().detach()
    found = explainers.GradCAM(network, layer="0")(images, 1)
    torch.testing.assert_close(found, F.interpolate(by_hand, size=(10, 10), mode="bilinear")[:, 0])
