"""The part of a network behind a layer, run alone, against whole passes."""

from __future__ import annotations

import pytest
import torch
from network_traces import Traces
from small import Chain, Residual, lively
from torch import nn

import explainers
from explainers.network.gradients import has_gradient
from explainers.network.output import scores_of
from explainers.network.tail import Tail


class Layered(nn.Module):
    """Counts the images that each part computes."""

    def __init__(self):
        super().__init__()
        self.front, self.back = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 8, 3, padding=1)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        x = torch.relu(self.front(x))
        return self.head(torch.relu(self.back(x)).mean((2, 3)))


def scored(returned, count):
    return scores_of(returned, count)


def tail_of(model, images, layer=None):
    layer = explainers.GradCAM(model, layer=layer).resolve(images)[0]
    with torch.no_grad():
        return Tail(model, layer, images, scored)


@pytest.mark.parametrize("network", [Chain, Residual, Layered])
def test_the_tail_skips_what_lies_before_the_layer_and_gives_the_same_scores(network):
    model, images = lively(network()).eval(), torch.rand(1, 3, 16, 16)
    traces = Traces(model)
    tail = tail_of(model, images)
    assert tail.short
    values = torch.rand(5, *tail.output.shape[1:])
    with torch.no_grad():
        found = tail(values)
        tail.short = False
        for module in tail.network.modules():
            module.__dict__.pop("forward", None)  # what was kept is forgotten: whole passes
        torch.testing.assert_close(found, tail(values), rtol=1e-5, atol=1e-6)
    assert traces.left() == []


def test_the_tail_runs_nothing_before_the_layer():
    model, images = lively(Layered()).eval(), torch.rand(1, 3, 16, 16)
    tail, seen = tail_of(model, images), []
    convolution = torch.nn.functional.conv2d
    torch.nn.functional.conv2d = lambda *a, **k: (seen.append(1), convolution(*a, **k))[1]
    try:
        with torch.no_grad():
            tail(torch.rand(3, *tail.output.shape[1:]))
    finally:
        torch.nn.functional.conv2d = convolution
    assert seen == []


def test_a_network_that_changes_its_path_is_run_as_a_whole():
    class Twice(Layered):
        """The front's output is also what a later functional call works on in place."""

        def forward(self, x):
            front = self.front(x).relu_()
            return self.head(torch.relu(self.back(front)).mean((2, 3)) + front.mul_(0.5).mean((1, 2, 3))[:, None])

    model, images = lively(Twice()).eval(), torch.rand(1, 3, 16, 16)
    tail = tail_of(model, images, "back")
    values = torch.rand(3, *tail.output.shape[1:])
    with torch.no_grad():
        front = torch.relu(model.front(images))
        wanted = model.head(torch.relu(values).mean((2, 3)) + 0.5 * front.mean())
        torch.testing.assert_close(tail(values), wanted, rtol=1e-5, atol=1e-6)


def test_a_way_back_that_fails_for_another_reason_is_not_taken_for_a_way():
    class Failing(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, *grads):
            raise RuntimeError("out of memory")

    images = torch.rand(1, 3, 4, 4, requires_grad=True)
    with pytest.raises(RuntimeError, match="out of memory"):
        has_gradient(Failing.apply(images).sum(), images)
    assert has_gradient(images.sum(), images)
    assert not has_gradient(torch.rand(1, requires_grad=True).sum(), images)
