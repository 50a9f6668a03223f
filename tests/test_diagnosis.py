"""What `diagnose` says of a network."""

from __future__ import annotations

import torch
from small import Residual, lively

import explainers


def test_diagnose_says_what_works_and_why_the_rest_does_not():
    network = lively(Residual()).train()
    network.stem.requires_grad_(False)
    told = explainers.diagnose(network, torch.randn(2, 3, 16, 24))
    assert told.layer == "block"
    assert told.stages[1] == ("stem", (6, 16, 24))
    assert told.strict == "3 Relu"
    assert (told.smooth, told.opaque, told.classes) == ("", "", 4)
    assert told.frozen == sum(value.numel() for value in network.stem.parameters())
    assert told.training == len(list(network.modules()))
    refused = [name for name, reason in told.methods.items() if reason]
    assert refused == ["attention", "attention-rollout", "lambda-attention"]
    text = str(told)
    assert "layer=None   block" in text
    assert "attention-rollout: attention-rollout cannot be right" in text
    assert told.to_dict()["layer"] == "block"


def test_diagnose_of_a_black_box_and_of_an_odd_output():
    told = explainers.diagnose(lambda x: x.detach().mean((2, 3)), torch.randn(1, 3, 8, 8))
    assert "no gradient" in " ".join(told.notes)
    works = {name for name, reason in told.methods.items() if reason == ""}
    assert works == {"rise", "occlusion", "lime", "kernel-shap"}
    told = explainers.diagnose(torch.nn.Conv2d(3, 4, 3), torch.randn(1, 3, 8, 8))
    assert told.task == "segmentation: 4 classes at 6 × 6 positions"
    assert told.classes == 4
    assert any("--where predicted" in command for _, command in told.targets)
