"""The layers of a network told from one run."""

from __future__ import annotations

import torch
from small import Chain, Residual, Tokens, lively

from explainers.network.survey import survey


def stages(network, *shape):
    seen = survey(network, torch.randn(1, *shape), lambda returned, count: returned)
    return [layer.label for layer in seen.stages]


def test_stages_are_the_last_layers_of_each_resolution_or_the_blocks():
    assert stages(lively(Chain()), 3, 16, 24) == ["act", "last"]
    assert stages(lively(Residual()), 3, 16, 24) == ["stem", "block"]
    assert stages(lively(Tokens()), 3, 16, 24)[-1] == "blocks.1.norm"
    assert stages(lively(Tokens(pooled=True)), 3, 16, 24)[-1] == "norm"
