"""Likeness of maps against scikit-image, SciPy, loops and answers by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from skimage.metrics import structural_similarity

from explainers import create_metric
from explainers.errors import OptionError
from explainers.evaluation.metrics.similarity import average_ranks, pearson, spearman, ssim, top_k_intersection

SIZES = [(11, 11), (12, 31), (40, 17), (64, 64)]
SMALL = [(1, 7), (5, 1), (6, 9), (13, 8)]


def minmax(values: np.ndarray) -> np.ndarray:
    return (values - values.min()) / (values.max() - values.min())


def peer_ssim(first: np.ndarray, second: np.ndarray, data_range: float) -> float:
    return structural_similarity(
        first, second, data_range=data_range, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )


def alike(size: tuple[int, int], count: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Maps that are neither equal nor unrelated, with negative values."""
    first = torch.randn(count, *size, dtype=torch.float64)
    return first, first + 0.7 * torch.randn_like(first)


def tied(size: tuple[int, int], count: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Rectified and rounded: most pixels share a value with others."""
    return tuple((2 * each).round().clamp(min=0) / 2 for each in alike(size, count))


@pytest.mark.parametrize("size", SIZES)
def test_ssim_equals_scikit_images_on_maps_scaled_to_one(size):
    first, second = alike(size)
    expected = [peer_ssim(minmax(a), minmax(b), 1.0) for a, b in zip(first.numpy(), second.numpy())]
    np.testing.assert_allclose(ssim(first, second), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("data_range", [0.5, 255.0])
def test_ssim_with_a_data_range_takes_the_maps_as_they_are(size, data_range):
    first, second = alike(size)
    expected = [peer_ssim(a, b, data_range) for a, b in zip(first.numpy(), second.numpy())]
    np.testing.assert_allclose(ssim(first, second, data_range=data_range), expected, rtol=0, atol=1e-10)


def test_ssim_of_constants_is_the_luminance_term():
    first, second = torch.full((1, 15, 12), 0.2), torch.full((1, 15, 12), 0.5)
    assert ssim(first, second, data_range=1.0).item() == pytest.approx(0.68976, abs=5e-6)
    assert ssim(first, second, data_range=0.3).item() == pytest.approx(0.68966, abs=5e-6)


def test_ssim_of_a_map_with_itself_is_one_and_does_not_see_its_scale():
    first, second = alike((19, 14))
    torch.testing.assert_close(ssim(first, first), torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(ssim(first, first, data_range=2.0), torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(ssim(5 * first - 3, second), ssim(first, second))
    assert (ssim(first, second) < 0.99).all()


def test_ssim_is_symmetric_and_of_a_batch_what_it_is_one_by_one():
    first, second = alike((23, 12), count=4)
    together = ssim(first, second)
    torch.testing.assert_close(together, ssim(second, first))
    torch.testing.assert_close(together, torch.cat([ssim(a[None], b[None]) for a, b in zip(first, second)]))


def test_ssim_of_constant_maps_is_that_of_zeros():
    first, constant = alike((11, 16), count=1)[0], torch.full((1, 11, 16), 7.0, dtype=torch.float64)
    assert ssim(constant, 2 * constant).item() == pytest.approx(1)
    expected = peer_ssim(minmax(first[0].numpy()), np.zeros((11, 16)), 1.0)
    assert ssim(first, constant).item() == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("size", [(10, 40), (40, 10), (1, 1)])
def test_ssim_refuses_maps_smaller_than_its_window(size):
    with pytest.raises(OptionError, match=f"maps of {size[0]} x {size[1]} pixels; SSIM needs at least 11 x 11"):
        ssim(*alike(size))


@pytest.mark.parametrize("data_range", [0.0, -1.0, math.nan])
def test_ssim_refuses_a_data_range_that_is_none(data_range):
    with pytest.raises(OptionError, match="expected a number above 0, or None"):
        ssim(*alike((11, 11)), data_range=data_range)


@pytest.mark.parametrize("size", SMALL)
@pytest.mark.parametrize("make", [alike, tied])
def test_correlations_equal_scipys(make, size):
    first, second = make(size, 4)
    first[:, 0, 0], second[:, 0, 0] = 3, -3  # none is constant
    pairs = [(a.ravel(), b.ravel()) for a, b in zip(first.numpy(), second.numpy())]
    np.testing.assert_allclose(pearson(first, second), [stats.pearsonr(*pair)[0] for pair in pairs], atol=1e-12)
    np.testing.assert_allclose(spearman(first, second), [stats.spearmanr(*pair)[0] for pair in pairs], atol=1e-12)


def test_spearman_by_hand_with_a_tie():
    first, second = torch.tensor([[[1.0, 2, 3, 4]]]), torch.tensor([[[1.0, 2, 2, 4]]])
    assert spearman(first, second).item() == pytest.approx(4.5 / math.sqrt(5 * 4.5))  # .9487; the short form says .95


def test_pearson_by_hand():
    first, second = torch.tensor([[[1.0, 2], [3, 4]]]), torch.tensor([[[1.0, 3], [2, 4]]])
    assert pearson(first, second).item() == pytest.approx(0.8)


def test_spearman_sees_the_order_alone_and_pearson_the_values():
    first, _ = alike((7, 9))
    ones = torch.ones(3, dtype=torch.float64)
    torch.testing.assert_close(spearman(first, first.exp()), ones)
    torch.testing.assert_close(spearman(first, -(first**3)), -ones)
    assert (pearson(first, first.exp()) < 0.99).all()


def test_pearson_does_not_see_scale_and_offset_even_where_squares_vanish():
    first, second = alike((7, 9))
    torch.testing.assert_close(pearson(first, 1e-200 * second - 1e-200), pearson(first, second))


@pytest.mark.parametrize("measure", [pearson, spearman])
def test_correlation_never_leaves_one(measure):
    first, _ = alike((5, 7), count=500)
    for sign in (1, -1):
        found = measure(first, sign * first)
        torch.testing.assert_close(found, torch.full_like(found, sign))
        assert found.abs().max() <= 1


@pytest.mark.parametrize("measure", [pearson, spearman])
@pytest.mark.parametrize("value", [0.0, 1 / 3, 1.1])
def test_correlation_with_a_constant_map_is_undefined_and_leaves_its_neighbours(measure, value):
    first, second = alike((31, 33))
    second[1] = value
    found = measure(first, second)
    assert found.isnan().tolist() == [False, True, False]
    assert measure(second, first).isnan().tolist() == [False, True, False]
    assert measure(second[1:2], second[1:2]).isnan().all()


def test_average_ranks_by_hand():
    values = torch.tensor([[3.0, 1, 3, 2], [5, 5, 5, 5], [0.0, -0.0, -1, 1]])
    assert average_ranks(values).tolist() == [[3.5, 1, 3.5, 2], [2.5] * 4, [2.5, 2.5, 1, 4]]
    assert average_ranks(values).dtype == torch.float64


def test_average_ranks_equal_scipys_on_integers_not_contiguous():
    values = torch.randint(-4, 5, (31, 5)).T
    np.testing.assert_array_equal(average_ranks(values), stats.rankdata(values.numpy(), axis=1))


def slow_top(values: np.ndarray, k: int) -> set[int]:
    return set(sorted(range(values.size), key=lambda place: (-values.flat[place], place))[:k])


@pytest.mark.parametrize("size", [*SMALL, (20, 30)])
@pytest.mark.parametrize("make", [alike, tied])
def test_top_k_intersection_equals_sets_made_by_sorting(make, size):
    first, second = make(size)
    pixels = size[0] * size[1]
    for k, count in [(1, 1), (pixels // 2, pixels // 2), (pixels, pixels), (0.3, max(1, round(0.3 * pixels)))]:
        expected = [len(slow_top(a, count) & slow_top(b, count)) / count for a, b in zip(first.numpy(), second.numpy())]
        np.testing.assert_allclose(top_k_intersection(first, second, k), expected)


def test_top_k_intersection_by_hand():
    first, second = torch.tensor([[[4.0, 3], [2, 1]]]), torch.tensor([[[1.0, 3], [2, 4]]])
    assert [top_k_intersection(first, second, k).item() for k in (1, 2, 4)] == [0, 0.5, 1]
    assert top_k_intersection(first, second, 1.0).item() == 1  # all pixels, not one
    assert top_k_intersection(first, first, 0.01).item() == 1  # at least one pixel


def test_top_k_takes_the_earlier_of_equal_pixels():
    constant, ramp = torch.zeros(1, 30, 40), -torch.arange(1200.0).view(1, 30, 40)
    assert top_k_intersection(constant, ramp, 0.25).item() == 1
    assert top_k_intersection(constant, -ramp, 0.25).item() == 0


@pytest.mark.parametrize("k", [0, -1, 13, True, 0.0, 1.5, math.nan, "all", None])
def test_top_k_intersection_refuses_other_k(k):
    with pytest.raises(OptionError, match="expected a number of pixels from 1 to 12, or a share above 0.0 and up to 1"):
        top_k_intersection(*alike((3, 4)), k)


@pytest.mark.parametrize("measure", [ssim, pearson, spearman, top_k_intersection])
def test_maps_of_float32_give_float64_and_are_left_alone(measure):
    first, second = (each.float() for each in alike((12, 13)))
    before = first.clone(), second.clone()
    found = measure(first, second)
    assert found.dtype == torch.float64
    assert found.shape == (3,)
    assert torch.equal(first, before[0])
    assert torch.equal(second, before[1])


@pytest.mark.parametrize("window", [3, 7, 11])
@pytest.mark.parametrize("unbiased", [False, True])
def test_ssim_with_a_flat_window_equals_scikit_images(window, unbiased):
    first, second = torch.rand(2, 3, 13, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64).unbind(0)
    options = {"win_size": window, "use_sample_covariance": unbiased, "data_range": 1.0}
    expected = [structural_similarity(a.numpy(), b.numpy(), **options) for a, b in zip(first, second, strict=True)]
    found = ssim(first, second, data_range=1.0, window=window, unbiased=unbiased)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("window", [0, 2, 8, True, "flat"])
def test_a_window_that_is_none_is_refused(window):
    with pytest.raises(
        OptionError,
        match="window=.*; expected (.gaussian. or an odd number of pixels from 3 on|a whole number or text)",
    ):
        create_metric("ssim", reference="mine", window=window)
