"""Intervals against SciPy, slow forms, and how often they hold the truth."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from scipy import stats

from explainers.evaluation.intervals import interval_of, largest_mean, share_interval


def test_the_interval_of_a_mean_is_a_bootstrap_t():
    """Written out resample by resample."""
    values = np.random.default_rng(0).exponential(size=12)
    mean, error = values.mean(), values.std(ddof=1) / math.sqrt(12)
    rng, found = np.random.default_rng(1), []
    for _ in range(20_000):
        drawn = rng.choice(values, 12)
        own = max(drawn.std(ddof=1) / math.sqrt(12), math.sqrt(0.1) * error)
        found.append((drawn.mean() - mean) / own)
    low, high = np.quantile(found, [0.025, 0.975])
    assert interval_of(values, resamples=20_000) == pytest.approx((mean - high * error, mean - low * error), rel=0.06)
    assert interval_of(values, seed=3) == interval_of(values, seed=3)
    assert interval_of(values, seed=3) != interval_of(values, seed=4)


def test_one_image_has_no_interval_and_equal_ones_have_none_to_speak_of():
    assert interval_of(np.array([0.3])) is None
    assert interval_of(np.full(5, 0.25)) == (0.25, 0.25)


@pytest.mark.parametrize(("value", "ends"), [(1.0, (0.025 ** (1 / 30), 1)), (0.0, (0, 1 - 0.025 ** (1 / 30)))])
def test_thirty_hits_are_a_share_and_thirty_similarities_of_one_are_not(value, ends):
    """The ends are Clopper and Pearson's in closed form."""
    values = np.full(30, value)
    assert interval_of(values) == (value, value)
    assert interval_of(values, share=True) == pytest.approx(ends, abs=1e-9)


def test_ones_and_zeros_are_a_share_without_saying_so_and_fractions_are_none():
    mixed = np.array([1.0, 1, 1, 0])
    assert interval_of(mixed) == interval_of(mixed, share=True) == share_interval(3, 4)
    halves = np.array([1.0, 1, 0.5, 1])  # of two detections in a photo one was found
    assert interval_of(halves, share=True) == interval_of(halves) != share_interval(3, 4)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_the_interval_moves_with_the_values(offset):
    values = np.random.default_rng(0).exponential(size=12)
    assert interval_of(values + offset) == pytest.approx(tuple(end + offset for end in interval_of(values)), abs=1e-6)


def test_an_interval_ends_where_the_range_of_a_score_does():
    likeness = np.array([0.2, 0.97, 0.99])
    low, high = interval_of(likeness)
    assert high > 1
    assert interval_of(likeness, within=(-1, 1)) == (low, 1)
    assert interval_of(likeness, within=(-math.inf, math.inf)) == (low, high)
    above = 1 + 1e-12  # by rounding
    assert interval_of(np.array([0.2, 0.97, above]), within=(-1, 1))[1] == above


@pytest.mark.parametrize("count", [2, 5, 24, 400])
def test_the_interval_of_a_share_is_exact(count):
    for hits in {0, 1, count // 3, count}:
        wanted = stats.binomtest(hits, count).proportion_ci(0.95, method="exact")
        assert share_interval(hits, count) == pytest.approx(tuple(wanted), abs=1e-9)
        assert interval_of(np.arange(count) < hits, share=True) == share_interval(hits, count)


def test_the_interval_of_a_value_that_is_no_mean_is_scipys_bca():
    draw = np.random.default_rng(0)
    parts = np.stack([draw.exponential(size=40), 1 + draw.random(40)], axis=1)
    wanted = stats.bootstrap(
        (parts[:, 0], parts[:, 1]),
        lambda one, two, axis: one.sum(axis) / two.sum(axis),
        paired=True,
        method="BCa",
        n_resamples=20_000,
        random_state=np.random.default_rng(1),
    ).confidence_interval
    found = interval_of(parts, lambda sums, counts: sums[:, 0] / sums[:, 1], resamples=20_000)
    assert found == pytest.approx(tuple(wanted), abs=0.01)


def test_a_value_that_some_resamples_lack_has_an_interval_of_the_others():
    parts = np.stack([np.arange(6.0), np.array([1.0, 1, 1, 1, 1, 0])], axis=1)
    low, high = interval_of(parts, lambda sums, counts: np.where(sums[:, 1] > 4, sums[:, 0], np.nan))
    assert 0 < low < high < 30


@pytest.mark.parametrize(
    ("shape", "count", "least"),  # the percentile bootstrap holds .865, .725, .395; .922, .820, .608; .873
    [
        ("normal", 5, 0.92),
        ("lognormal", 5, 0.85),
        ("rare", 5, 0.95),
        ("normal", 10, 0.93),
        ("lognormal", 10, 0.88),
        ("rare", 10, 0.95),
        ("lognormal", 30, 0.89),
    ],
)
def test_the_interval_holds_the_true_value_about_as_often_as_it_says(shape, count, least):
    """Over 300 samples; docs/metrics.md has the table of 1,000 (benchmarks/coverage.py)."""
    rng = np.random.default_rng(5)
    draw, wanted = {
        "normal": (lambda: rng.normal(size=count), 0.0),
        "lognormal": (lambda: rng.lognormal(size=count), math.exp(0.5)),
        "rare": (lambda: (rng.random(count) < 0.1).astype(float), 0.1),
    }[shape]
    found = [interval_of(draw(), share=shape == "rare", resamples=500) for _ in range(300)]
    held = [low <= wanted <= high for low, high in found]
    noise = NormalDist().inv_cdf(0.99) * math.sqrt(least * (1 - least) / 300)
    assert np.mean(held) >= least - noise


@pytest.mark.parametrize("count", [1, 2, 20, 800])
def test_the_largest_mean_after_nothing_but_zeros_is_the_rule_of_three(count):
    assert largest_mean(0.0, count) == pytest.approx(1 - 0.05 ** (1 / count), rel=1e-9)
    assert largest_mean(float(count), count) == 1.0


@pytest.mark.parametrize(("total", "count"), [(1.3, 40), (0.02, 5), (17.5, 20)])
def test_the_largest_mean_is_where_the_divergence_reaches_its_bound(total, count):
    mean, found = total / count, largest_mean(total, count)
    divergence = stats.entropy([mean, 1 - mean], [found, 1 - found])
    assert found > mean
    assert count * divergence == pytest.approx(math.log(20), rel=1e-6)


@pytest.mark.parametrize("share", [0.01, 0.2])
def test_the_largest_mean_is_seldom_exceeded(share):
    """Values that are 0 but for a share of ones, which are the worst there are, and with noise around."""
    rng = np.random.default_rng(0)
    for noise in (0.0, 0.05):
        values = np.where(rng.random((2000, 100)) < share, 1.0, noise * rng.random((2000, 100)))
        true = share + (1 - share) * noise / 2
        assert np.mean([largest_mean(float(each.sum()), 100) >= true for each in values]) >= 0.95


@pytest.mark.parametrize("power", [-1000, 1000])
def test_the_interval_of_a_mean_does_not_depend_on_units(power):
    values, unit = np.random.default_rng(0).normal(size=6), 2.0**power
    wanted = interval_of(values)
    assert interval_of(values * unit) == (wanted[0] * unit, wanted[1] * unit)


def test_a_share_at_a_threshold_that_the_images_chose_may_miss_yet():
    """Hits of each image at two thresholds; BCa of hits alone would have no width."""
    best = lambda sums, counts: (sums / counts[:, None]).max(axis=1)  # noqa: E731
    hits = np.tile([0.0, 1.0], (30, 1))
    assert interval_of(hits, best) == (1, 1)
    assert interval_of(hits, best, share=True) == share_interval(30, 30)
    hits[:6, 1] = 0
    low, high = interval_of(hits, best, share=True)
    alone, exact = interval_of(hits, best), share_interval(24, 30)
    assert (low, high) == (min(alone[0], exact[0]), max(alone[1], exact[1]))


def test_the_interval_of_a_share_at_the_best_threshold_holds_the_true_one():
    """BCa alone holds 0.72 of them: at 10 images the best of many thresholds is too good."""
    rng, levels = np.random.default_rng(0), np.linspace(0, 1, 50)

    def hits(count):
        begin = rng.beta(1, 3, count)
        return ((levels > begin[:, None]) & (levels < (begin + rng.beta(3, 3, count))[:, None])).astype(float)

    best = lambda sums, counts: (sums / counts[:, None]).max(axis=1)  # noqa: E731
    true = hits(40_000).mean(axis=0).max()
    found = [interval_of(hits(10), best, share=True, resamples=200) for _ in range(100)]
    assert np.mean([low <= true <= high for low, high in found]) > 0.93
