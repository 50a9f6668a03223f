"""What is said of maps that are the same everywhere, whatever kind of method made them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import explainers
from explainers.core.maps import CONSTANT_REASON, constant_reason


@pytest.mark.parametrize("value", [0.0, 0.25, -3.0])
@pytest.mark.parametrize("layers", [(), ("body.3",)])
@pytest.mark.parametrize("ours", [True, False])
def test_every_reason_has_the_value_and_the_next_step(value, layers, ours):
    said = constant_reason(torch.full((2, 3), value), layers, ours=ours)
    assert said.startswith(f"{CONSTANT_REASON}: it is {value:.3g} at all positions")
    assert "; try " in said if ours else "; look at how it was made" in said


def test_methods_of_each_kind_and_maps_from_elsewhere():
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1.0)
    images = torch.ones(1, 1, 8, 8)
    made = explainers.evaluate(
        network,
        images,
        {
            "grad-cam": "grad-cam",  # the gradient 1/64 times the activation 2 at each position
            "saliency": "saliency",  # a gradient that is 1/64 at each position
            "occlusion": ("occlusion", {"window": 8, "stride": 8}),  # one window, of the image's mean, changes nothing
            "theirs": lambda images, targets: torch.full((1, 8, 8), 0.5),
        },
        ["sparseness"],
        0,
    )
    reasons = {row["explainer"]: row["reason"] for row in made.rows if row["status"] == "constant"}
    assert "it is 0.5 at all positions; look at how" in reasons["theirs"]
    assert "it is 0.0312 at all positions, layer 0 says the same everywhere; try an earlier one" in reasons["grad-cam"]
    assert "it is 0.0156 at all positions, to the method every part" in reasons["saliency"]
    assert "it is 0 at all positions, no change of the image that the method looks at" in reasons["occlusion"]


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_a_saturated_probability_is_named_where_it_is_what_a_method_reads(scale):
    """Logits ± scale: at 1e3 the softmax is 1 with and without any window, and its own gradient is 0."""
    logits = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 2, bias=False))
    with torch.no_grad():
        logits[2].weight.copy_(torch.tensor([[scale], [-scale]]))
    images = torch.linspace(1, 2, 64).view(1, 1, 8, 8)
    methods = {"occlusion": ("occlusion", {"window": 4, "stride": 4}), "saliency": "saliency"}

    def reasons(network):
        made = explainers.evaluate(network, images, methods, ["sparseness"], 0)
        return {row["explainer"]: row["reason"] for row in made.rows if row["status"] == "constant"}

    before, after = reasons(logits), reasons(nn.Sequential(logits, nn.Softmax(dim=1)))
    assert "likely" not in before["saliency"], "it reads the score, whose gradient is the same everywhere"
    if scale < 1:
        assert "occlusion" not in before
        assert "likely" not in str(after)
        return
    end = "likely because the probability is 1 to six digits, where changes are lost in rounding; explain the "
    assert f"{end}score itself (--activation none, activation=None)" in before["occlusion"]
    assert f"{end}network without its last softmax or sigmoid" in after["saliency"]
    assert f"{end}network without its last softmax or sigmoid" in after["occlusion"]
