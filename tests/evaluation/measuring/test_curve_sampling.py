"""Where a curve is looked at, and what the area under it comes to."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import explainers
from explainers import create_metric
from explainers.data.generated.digits import digits
from explainers.errors import OptionError
from explainers.evaluation.measuring.curve_sampling import Adaptive, Fixed, Grid, area, interval_variances


def followed(sampling, curve: np.ndarray) -> list[int]:
    """The steps at which a curve (steps + 1,) ends up being looked at."""
    positions = sampling.first(len(curve) - 1)
    while more := sampling.more(np.array(positions), curve[positions]):
        assert not set(more) & set(positions)
        positions = sorted({*positions, *more})
    return positions


def test_the_area_is_the_trapezoid_with_both_ends():
    assert area(np.array([0, 0.5, 1.0]), np.array([1.0, 0.5, 0.0])) == pytest.approx(0.5)
    assert area(np.array([0, 0.1, 1.0]), np.array([0.0, 1.0, 1.0])) == pytest.approx(0.95)


def test_a_grid_has_equal_steps_and_both_ends():
    assert Grid(4).first(100) == [0, 25, 50, 75, 100]
    assert Grid(3).first(16) == [0, 5, 11, 16]
    assert Grid(50).first(3) == [0, 1, 2, 3]
    assert Fixed((0.1, 0.5)).first(10) == [1, 5]


@pytest.mark.parametrize("steps", [1, 2, 5, 49, 9216])
def test_adaptive_steps_begin_with_both_ends_and_stay_on_whole_steps(steps):
    found = followed(Adaptive(), np.linspace(1, 0, steps + 1) ** 3)
    assert (found[0], found[-1]) == (0, steps)
    assert len(set(found)) == len(found)


def test_a_constant_curve_needs_no_second_round():
    assert followed(Adaptive(), np.full(1001, 0.7)) == Adaptive().first(1000)


def test_steps_gather_where_the_curve_falls():
    curve = (np.arange(10_001) < 6180).astype(float)
    found = np.array(followed(Adaptive(0.001), curve))
    assert ((found > 5500) & (found < 7000)).mean() > 0.4
    assert abs(area(found / 10_000, curve[found]) - 0.618) < 0.002


def test_the_assumed_variance_is_that_of_brownian_motion():
    """Of a path known at 0, 40 and 100 the area has a variance of Σ w³/12 times the speed."""
    rng = np.random.default_rng(0)
    paths = np.concatenate([np.zeros((4000, 1)), rng.normal(size=(4000, 100)).cumsum(axis=1) / 10], axis=1)
    known = np.array([0, 40, 100])
    errors = np.trapezoid(paths, dx=0.01) - [area(known / 100, path[known]) for path in paths]
    assumed = np.mean([interval_variances(known, path[known]).sum() for path in paths])
    assert assumed == pytest.approx((0.4**3 + 0.6**3) / 12, rel=0.1)
    assert np.var(errors) == pytest.approx(assumed, rel=0.1)


def test_the_adaptive_area_is_that_of_the_full_grid_to_about_the_tolerance():
    model = explainers.load_model("embedded", device="cpu")
    images = (digits(3)[0] / 255 - 0.5) / 0.25
    maps = explainers.create("grad-cam", model)(images)
    for name in ("insertion", "deletion"):
        fine = create_metric(name, baseline="zero", steps=128)(model, images, maps)
        for tolerance in (0.02, 0.004):
            metric = create_metric(name, baseline="zero", tolerance=tolerance)
            errors = (metric(model, images, maps) - fine).abs()
            assert errors.mean() < 1.5 * tolerance
            assert errors.max() < 6 * tolerance


def test_a_smaller_tolerance_looks_at_more_steps():
    curve = 1 / (1 + np.exp((np.linspace(0, 1, 2001) - 0.3) * 30)) + 0.1 * np.sin(np.linspace(0, 60, 2001))
    counts = [len(followed(Adaptive(tolerance), curve)) for tolerance in (0.05, 0.01, 0.002, 0.0005)]
    assert counts == sorted(counts)
    assert counts[-1] > 2 * counts[0]


def test_a_curve_is_seen_where_it_alone_decides_whatever_else_is_measured():
    model, images = explainers.load_model("embedded", device="cpu"), torch.randn(1, 3, 96, 96)
    maps = {"mine": lambda x, t: x.mean(1)}
    alone = explainers.evaluate(model, images, maps, ["deletion"])
    beside = explainers.evaluate(
        model, images, maps, ["deletion", create_metric("morf", steps=7), "threshold-deletion"]
    )
    assert alone.values("deletion") == beside.values("deletion")


@pytest.mark.parametrize("tolerance", [0.0, -1.0, 1.0])
def test_a_tolerance_out_of_range_is_refused(tolerance):
    with pytest.raises(OptionError, match="expected an error of the area between 0 and 1"):
        Adaptive(tolerance)
