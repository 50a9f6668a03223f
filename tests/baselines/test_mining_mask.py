"""What an attention map takes away: values and gradients of the three masks."""

from __future__ import annotations

import math

import pytest
import torch

from explainers.baselines import mining_mask
from explainers.errors import OptionError

MAP = torch.tensor([[[0.0, 0.4], [0.78, 1.0]]], dtype=torch.float64)


def test_by_hand():
    expected = [1 / (1 + math.exp(-20 * (a - 0.4))) for a in (0.0, 0.4, 0.78, 1.0)]
    assert mining_mask(MAP, 0.4, "sigmoid", 20).flatten().tolist() == pytest.approx(expected, rel=1e-12)
    for kind in ("hard", "straight-through"):
        assert mining_mask(MAP, 0.4, kind, 20).flatten().tolist() == [0, 0, 1, 1]  # strictly above
        assert mining_mask(MAP, 0.78, kind, 20).flatten().tolist() == [0, 0, 0, 1]


def test_straight_through_has_exactly_the_values_of_hard():
    rng = torch.Generator().manual_seed(0)
    attention = torch.rand(3, 1, 7, 9, generator=rng).requires_grad_()
    assert torch.equal(mining_mask(attention, 0.5, "straight-through", 10), mining_mask(attention, 0.5, "hard", 10))
    assert torch.equal(mining_mask(attention, 0.5, "hard", 10), (attention > 0.5).float())


def test_gradients():
    leaf = MAP.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda a: mining_mask(a, 0.4, "sigmoid", 10), leaf)
    (gradient,) = torch.autograd.grad(mining_mask(leaf, 0.4, "straight-through", 10).sum(), leaf)
    assert torch.equal(gradient, torch.ones_like(MAP))
    assert not mining_mask(leaf, 0.4, "hard", 10).requires_grad


def test_the_steeper_the_sigmoid_the_nearer_to_hard():
    attention = torch.tensor([0.1, 0.45, 0.55, 0.9], dtype=torch.float64)
    hard = mining_mask(attention, 0.5, "hard", 1)
    gaps = [float((mining_mask(attention, 0.5, "sigmoid", omega) - hard).abs().max()) for omega in (8, 100, 1000)]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 1e-9


@pytest.mark.parametrize(
    ("threshold", "kind", "omega", "message"),
    [
        (0.5, "soft", 10, "mask='soft'; expected one of sigmoid, straight-through, hard"),
        (1.5, "hard", 10, "threshold=1.5; expected 0 … 1, as the map lies there"),
        (0.5, "sigmoid", 0, "omega=0; expected a positive slope"),
        (float("nan"), "sigmoid", 1, "threshold=nan; expected 0 … 1, as the map lies there"),
    ],
)
def test_senseless_settings_are_refused(threshold, kind, omega, message):
    with pytest.raises(OptionError) as caught:
        mining_mask(MAP, threshold, kind, omega)
    assert str(caught.value) == message
