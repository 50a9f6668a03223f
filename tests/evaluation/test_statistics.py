"""Tests of differences against SciPy and answers by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from explainers.evaluation.statistics import holm, images_needed, pairwise, sign_flip_test, value_of


def test_a_data_set_value_may_be_more_than_a_mean():
    parts = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]])

    def best(sums, counts):
        return (sums / counts[:, None]).max(axis=1)

    assert value_of(parts, best) == 1.0
    assert value_of(parts[:, :2], best) == pytest.approx(1 / 3)
    assert np.isnan(value_of(parts[:0]))


@pytest.mark.parametrize("count", [3, 9, 14])
def test_the_sign_flip_test_is_scipys_exact_paired_permutation_test(count):
    rng = np.random.default_rng(count)
    first, second = rng.normal(0.4, 1, count), rng.normal(0, 1, count)
    wanted = stats.permutation_test(
        (first, second),
        lambda x, y, axis: (x - y).mean(axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=True,
    )
    assert sign_flip_test(first, second) == pytest.approx(wanted.pvalue, abs=1e-12)


def test_with_many_images_random_flips_come_close_to_the_normal_answer():
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.2, 1, 200), rng.normal(0, 1, 200)
    assert sign_flip_test(first, second) == pytest.approx(stats.ttest_rel(first, second).pvalue, abs=0.01)
    assert sign_flip_test(first, first + 1) == pytest.approx(1 / 20_001)


def test_no_difference_and_no_images_have_p_one():
    values = np.random.default_rng(0).normal(size=30)
    assert sign_flip_test(values, values) == 1.0
    assert sign_flip_test(values[:0], values[:0]) == 1.0


def test_p_of_no_difference_is_uniform():
    rng = np.random.default_rng(0)
    found = [sign_flip_test(*rng.normal(size=(2, 10))) for _ in range(400)]
    assert stats.kstest(found, "uniform").pvalue > 0.01


def test_holm_by_hand():
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]


def test_pairs_are_compared_on_the_images_that_both_have():
    one = {"a": np.float64(1), "b": np.float64(2), "c": np.float64(3)}
    two = {"b": np.float64(1), "c": np.float64(1.5), "d": np.float64(100)}
    found = pairwise({"one": one, "two": two})
    assert found == {("one", "two"): sign_flip_test(np.array([2.0, 3]), np.array([1.0, 1.5]))}


def test_all_pairs_at_once_are_each_pair_alone_corrected():
    rng = np.random.default_rng(0)
    values = {name: rng.normal(0.1 * number, 1, 40) for number, name in enumerate("abcd")}
    found = pairwise({name: {str(k): v for k, v in enumerate(column)} for name, column in values.items()})
    alone = [sign_flip_test(values[one], values[two]) for one, two in found]
    assert list(found.values()) == pytest.approx(holm(np.array(alone)).tolist())


def test_a_value_that_is_no_mean_is_exchanged_image_by_image():
    """The mean, told as if it were something else, has the p of the mean."""
    rng = np.random.default_rng(1)
    first, second = rng.normal(0.5, 1, (9, 2, 3)), rng.normal(0, 1, (9, 2, 3))

    def corner(sums, counts):
        return sums[:, 1, 2] / counts

    assert sign_flip_test(first, second, corner) == pytest.approx(sign_flip_test(first[:, 1, 2], second[:, 1, 2]))


@pytest.mark.parametrize(
    ("methods", "images"),
    [(2, 6), (3, 7), (5, 9), (10, 11), (13, 12), (46, None)],  # 1035 pairs: one of 20,001 is above 5 % of them
)
def test_so_many_images_are_needed_to_find_anything(methods, images):
    pairs = methods * (methods - 1) // 2
    assert images_needed(pairs) == images
    if images is not None and images < 13:
        for count, found in ((images - 1, False), (images, True)):
            best, rest = np.full(count, 1.0), np.full(count, 0.0)
            p = np.full(pairs, 1.0)
            p[0] = sign_flip_test(best, rest)
            assert bool(holm(p)[0] < 0.05) is found


@pytest.mark.parametrize("count", [4, 16])
def test_a_difference_that_is_not_defined_is_no_evidence(count):
    first, second = np.random.default_rng(0).random((2, count))
    first[1] = np.nan
    assert sign_flip_test(first, second) == 1.0
    assert sign_flip_test(first, second, lambda sums, counts: sums / counts) == 1.0
    halves = [{str(n): np.array([1.0 + method, 0.0]) for n in range(count)} for method in range(2)]

    def without_the_other_half(sums, counts):
        return np.where(sums[:, 1] > 0, sums[:, 0] / counts, np.nan)

    assert pairwise({"a": halves[0], "b": halves[1]}, without_the_other_half) == {("a", "b"): 1.0}
