"""Which classes are meant, and that choosing them costs no forward pass of its own."""

from __future__ import annotations

import csv
from dataclasses import replace

import pytest
import torch
from run_case import embedded, folder
from small import Chain
from torch import nn

import explainers
from explainers.core.targets import SeenTargets, resolve_targets
from explainers.errors import TargetError
from explainers.run import RunOptions, run

SCORES = torch.tensor([[0.1, 3.0, 2.0], [5.0, 4.0, -1.0]])


class Counting(nn.Module):
    """Counts the images that go through a network."""

    def __init__(self, network):
        super().__init__()
        self.inner, self.images = network, 0

    def forward(self, images):
        self.images += len(images)
        return self.inner(images)


def test_a_function_of_the_scores_chooses_the_classes():
    classes = resolve_targets(lambda scores: scores.topk(2, dim=1).indices, SCORES)
    assert classes.tolist() == [[1, 2], [0, 1]]
    with pytest.raises(TargetError, match="out of range"):
        resolve_targets(lambda scores: torch.full((2, 1), 3), SCORES)


@pytest.mark.parametrize(
    ("seen", "classes"),
    [
        (SeenTargets(None), [[1], [0]]),
        (SeenTargets(2), [[2], [2]]),
        (SeenTargets(None, top_k=2), [[1, 2], [0, 1]]),
        (SeenTargets(None, top_k=9), [[1, 2, 0], [0, 1, 2]]),
    ],
)
def test_seen_targets_remember_scores_and_classes(seen, classes):
    assert seen(SCORES).tolist() == classes
    assert torch.equal(seen.scores, SCORES)
    assert seen.classes.tolist() == classes


@pytest.mark.parametrize("method", ["cam", "grad-cam", "saliency", "guided-backprop", "eigen-cam", "full-grad"])
def test_maps_for_a_function_are_those_for_its_classes(method):
    torch.manual_seed(0)
    network, images = Chain().eval(), torch.randn(3, 3, 16, 20)
    explainer = explainers.create(method, network)
    best = explainers.class_scores(network, images).topk(2, dim=1).indices
    chosen = explainer(images, lambda scores: scores.topk(2, dim=1).indices)
    assert chosen.shape == (3, 2, 16, 20)
    assert torch.equal(chosen, explainer(images, best))


@pytest.mark.parametrize(("methods", "passes"), [(["grad-cam"], 1), (["grad-cam", "saliency"], 2)])
def test_a_run_passes_each_image_once_per_method(tmp_path, methods, passes):
    loaded = embedded()
    counting = Counting(loaded.network).eval()
    run(folder(tmp_path / "in"), replace(loaded, network=counting), methods, tmp_path / "out", options=RunOptions())
    # One image each: to find the layer, for what the network ends in, to tell it apart; whether it mixes twice four;
    # whether its scores move at all two.
    survey, reading, probes = 1, 1, 1 + 2 * 4 + 2
    assert counting.images == 3 * passes + survey + reading + probes
    with (tmp_path / "out" / "results.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 3 * len(methods)
