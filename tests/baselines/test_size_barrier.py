"""Size barrier: both branches by hand, their seam, slowly over a batch, and which way it pushes."""

from __future__ import annotations

import math

import pytest
import torch

from explainers.baselines import size_barrier
from explainers.baselines.losses.segmentation.size_barrier import log_barrier
from explainers.errors import MapError, OptionError


def barrier(z, t):
    return -math.log(-z) / t if z <= -1 / t**2 else t * z - math.log(1 / t**2) / t + 1 / t


def probabilities(count=3, height=5, width=4):
    rng = torch.Generator().manual_seed(0)
    return torch.randn(count, 2, height, width, generator=rng, dtype=torch.float64).softmax(1)


@pytest.mark.parametrize("t", [1.0, 1.01, 10.0])
def test_the_barrier_by_hand(t):
    values = [-7.0, -1.0, -0.05, -1.5 / t**2, -1 / t**2, -0.5 / t**2, 0.0, 3.0]
    found = log_barrier(torch.tensor(values, dtype=torch.float64), t)
    assert found.tolist() == pytest.approx([barrier(z, t) for z in values], rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("t", [1.0, 3.0, 10.0])
def test_value_and_slope_have_no_seam(t):
    seam = -1 / t**2
    z = torch.tensor([seam * (1 + 1e-9), seam * (1 - 1e-9)], dtype=torch.float64, requires_grad=True)
    values = log_barrier(z, t)
    (slopes,) = torch.autograd.grad(values.sum(), z)
    torch.testing.assert_close(values[0], values[1], rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(slopes, torch.full_like(slopes, t), rtol=1e-7, atol=1e-7)


def test_by_hand():
    """One image of 4 pixels with a foreground of 1: ½ (−log 1 − log 3) at t = 1; an empty one meets the line."""
    maps = torch.tensor([[[[0.5, 0.75], [0.75, 1.0]], [[0.5, 0.25], [0.25, 0.0]]]], dtype=torch.float64)
    assert float(size_barrier(maps, 1.0)) == pytest.approx(-math.log(3) / 2)
    empty = torch.stack([torch.ones(1, 2, 2), torch.zeros(1, 2, 2)], 1).double()
    assert float(size_barrier(empty, 2.0)) == pytest.approx((-math.log(4) / 2 - math.log(0.25) / 2 + 0.5) / 2)


@pytest.mark.parametrize("t", [1.0, 10.0])
def test_equals_the_slow_form(t):
    maps = probabilities()
    total = 0.0
    for channel in (0, 1):
        each = [barrier(-sum(sum(row) for row in image[channel]), t) for image in maps.tolist()]
        total += sum(each) / len(each)
    assert float(size_barrier(maps, t)) == pytest.approx(total / 2, rel=1e-12)


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_its_gradient_is_that_of_its_value(scale):
    maps = (scale * probabilities()).requires_grad_()  # areas on the logarithm, and on the line
    assert torch.autograd.gradcheck(lambda each: size_barrier(each, 2.0), maps)


def test_it_lets_both_regions_grow_and_the_smaller_one_more():
    maps = torch.tensor([0.9, 0.1], dtype=torch.float64).view(1, 2, 1, 1).repeat(1, 1, 6, 6).requires_grad_()
    (gradient,) = torch.autograd.grad(size_barrier(maps, 1.0), maps)
    background, foreground = gradient[0, 0, 0, 0], gradient[0, 1, 0, 0]
    assert foreground < background < 0
    assert float(foreground) == pytest.approx(-1 / (2 * 3.6))


def test_what_does_not_fit_is_refused():
    with pytest.raises(MapError) as caught:
        size_barrier(torch.ones(2, 1, 3, 3), 1.0)
    assert str(caught.value) == "maps of shape (2, 1, 3, 3); expected (N, 2, H, W), background and foreground"
    with pytest.raises(OptionError) as caught:
        size_barrier(probabilities(), 0.0)
    assert str(caught.value) == "t=0.0; expected a positive number"
