"""Noisy linear imputation: by hand, against the system written out, and untouched where nothing was removed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve

from explainers.evaluation.metrics import imputation
from explainers.evaluation.metrics.imputation import imputed

NONE = torch.zeros(1)


def pictures(count: int, height: int, width: int, seed: int = 0, dtype=torch.float32) -> torch.Tensor:
    """(count, 3, height, width) of mean 0 and deviation 1: smooth patches under a little grain, as photographs are."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 3, 6, 6, generator=generator, dtype=torch.float64)
    images = F.interpolate(coarse, size=(height, width), mode="bicubic")
    images = images + 0.3 * torch.randn(images.shape, generator=generator, dtype=torch.float64)
    images = images - images.mean(dim=(2, 3), keepdim=True)
    return (images / images.pow(2).mean(dim=(2, 3), keepdim=True).sqrt().clamp_min(1e-6)).to(dtype)


def removal(kind: str, share: float, height: int, width: int, seed: int = 0) -> torch.Tensor:
    """(1, height, width): pixels at random, or the top of a smooth map, which leaves large holes up to the border."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(1, 1, height, width, generator=generator)
    if kind == "blob":
        scores = F.interpolate(torch.randn(1, 1, 7, 7, generator=generator), size=(height, width), mode="bicubic")
    top = scores.flatten().topk(max(1, round(share * height * width))).indices
    removed = torch.zeros(height * width, dtype=torch.bool)
    removed[top] = True
    return removed.view(1, height, width)


def written_out(image: torch.Tensor, removed: torch.Tensor) -> torch.Tensor:
    """(C, H, W) float64: one equation per removed pixel, collected in loops and solved directly."""
    pixels, gone = image.double().numpy(), removed.numpy()
    height, width = gone.shape
    number = {tuple(place): index for index, place in enumerate(np.argwhere(gone).tolist())}
    entries, right = [], np.zeros((len(number), len(pixels)))
    for (row, column), index in number.items():
        around = [(r, c) for r in (row - 1, row, row + 1) for c in (column - 1, column, column + 1)]
        around = [(r, c) for r, c in around if (r, c) != (row, column) and 0 <= r < height and 0 <= c < width]
        weights = [1 / 6 if r == row or c == column else 1 / 12 for r, c in around]
        entries.append((index, index, 1.0))
        for (r, c), weight in zip(around, weights, strict=True):
            share = weight / sum(weights)
            if gone[r, c]:
                entries.append((index, number[r, c], -share))
            else:
                right[index] += share * pixels[:, r, c]
    rows, columns, values = zip(*entries, strict=True)
    solved = spsolve(coo_matrix((values, (rows, columns))).tocsc(), right).reshape(right.shape)
    result = pixels.copy()
    result[:, gone] = solved.T
    return torch.from_numpy(result)


def deviation(ours: torch.Tensor, exact: torch.Tensor) -> float:
    return (ours.double() - exact.double()).abs().max().item()


def test_one_pixel_inside_is_the_weighted_mean_of_its_eight_neighbours():
    image = torch.tensor([[1.0, 2.0, 4.0], [8.0, 99.0, 16.0], [32.0, 64.0, 128.0]]).view(1, 1, 3, 3)
    removed = torch.zeros(1, 3, 3, dtype=torch.bool)
    removed[0, 1, 1] = True
    expected = (2 + 8 + 16 + 64) / 6 + (1 + 4 + 32 + 128) / 12
    assert imputed(image, removed, NONE)[0, 0, 1, 1].item() == pytest.approx(expected, rel=1e-6)


def test_at_the_border_the_weights_that_exist_sum_to_one():
    image = torch.tensor([[99.0, 1.0, 2.0], [4.0, 8.0, 16.0], [32.0, 77.0, 64.0]]).view(1, 1, 3, 3)
    removed = torch.zeros(1, 3, 3, dtype=torch.bool)
    removed[0, 0, 0] = removed[0, 2, 1] = True
    filled = imputed(image, removed, NONE, tolerance=1e-6)[0, 0]
    assert filled[0, 0].item() == pytest.approx((1 / 6 + 4 / 6 + 8 / 12) / (5 / 12), rel=1e-5)
    assert filled[2, 1].item() == pytest.approx((32 / 6 + 64 / 6 + 8 / 6 + 4 / 12 + 16 / 12) / (8 / 12), rel=1e-5)


def test_a_ramp_is_continued_through_a_hole():
    rows, columns = torch.arange(40, dtype=torch.float64), torch.arange(50, dtype=torch.float64)
    ramp = (rows[:, None] * 0.05 + columns * 0.02).view(1, 1, 40, 50)
    removed = torch.zeros(1, 40, 50, dtype=torch.bool)
    removed[0, 5:35, 8:44] = True
    spoilt = ramp.masked_fill(removed[:, None], 1e3)  # what was there must not be looked at
    assert deviation(imputed(spoilt, removed, NONE, tolerance=1e-10), ramp) < 1e-8


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["random", "blob"])
def test_deviation_from_the_direct_solution_stays_below_the_noise_of_the_metric(kind, share, dtype):
    images, removed = pictures(1, 96, 81, dtype=dtype), removal(kind, share, 96, 81)
    ours = imputed(images, removed, NONE)
    assert ours.dtype == dtype
    assert deviation(ours[0], written_out(images[0], removed[0])) < 0.01


@pytest.mark.parametrize("kind", ["random", "blob"])
def test_a_small_tolerance_reaches_the_direct_solution(kind):
    images, removed = pictures(1, 64, 64, dtype=torch.float64), removal(kind, 0.7, 64, 64)
    ours = imputed(images, removed, NONE, tolerance=1e-11)
    assert deviation(ours[0], written_out(images[0], removed[0])) < 1e-9


@pytest.mark.parametrize("size", [(1, 2), (2, 1), (1, 40), (40, 1), (2, 2), (3, 5), (7, 1), (2, 33), (17, 31), (65, 9)])
def test_awkward_sizes_agree_with_the_direct_solution(size):
    for seed, share in enumerate((0.3, 0.6, 0.97)):
        images, removed = pictures(1, *size, seed=seed, dtype=torch.float64), removal("random", share, *size, seed=seed)
        removed.view(-1)[size[0] * size[1] // 2] = False
        exact = written_out(images[0], removed[0]) if removed.any() else images[0]
        assert deviation(imputed(images, removed, NONE, tolerance=1e-9)[0], exact) < 1e-6


@pytest.mark.parametrize("size", [(16, 16), (13, 18)])
def test_the_preconditioner_is_symmetric_and_positive_definite(size):
    removed = removal("blob", 0.85, *size)
    levels = imputation._levels(removed[:, None].double())
    assert len(levels) > 2
    basis = torch.eye(removed.numel(), dtype=torch.float64)[removed.flatten()].view(-1, 1, *size)
    matrix = imputation._cycle(levels, basis)[:, 0, removed[0]]
    torch.testing.assert_close(matrix, matrix.T, atol=1e-12, rtol=0)
    assert torch.linalg.eigvalsh(matrix).min() > 0


def test_large_holes_need_few_steps(monkeypatch):
    monkeypatch.setattr(imputation, "MOST_STEPS", 11)  # without coarse grids about a hundred
    images, removed = pictures(1, 150, 150), removal("blob", 0.97, 150, 150)
    few = imputed(images, removed, NONE)
    monkeypatch.undo()
    assert deviation(few, imputed(images, removed, NONE, tolerance=1e-7)) < 0.01


def test_one_kept_pixel_paints_the_whole_image():
    images, removed = pictures(1, 30, 41), torch.ones(1, 30, 41, dtype=torch.bool)
    removed[0, 3, 38] = False
    torch.testing.assert_close(imputed(images, removed, NONE), images[:, :, 3:4, 38:39].expand_as(images))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_pytorch_grad_cam_imputes_the_same(share):
    road = pytest.importorskip("pytorch_grad_cam.metrics.road")
    images, removed = pictures(1, 56, 56), removal("blob", share, 56, 56)
    theirs = road.NoisyLinearImputer(noise=0)(images[0], (~removed[0]).float())
    assert deviation(imputed(images, removed, NONE)[0], theirs) < 0.01
    assert deviation(imputed(images, removed, NONE, tolerance=1e-7)[0], theirs) < 1e-4


def test_an_offset_of_the_colours_costs_no_accuracy():
    images, removed = pictures(1, 48, 48, dtype=torch.float64), removal("blob", 0.7, 48, 48)
    shifted = imputed(images + 1000, removed, NONE) - 1000
    assert deviation(shifted, imputed(images, removed, NONE)) < 1e-9


@pytest.mark.parametrize("tolerance", [1e-2, 1e-4])
def test_images_of_a_batch_are_imputed_as_they_are_alone(tolerance):
    cases = [("random", 0.1), ("random", 0.9), ("blob", 0.3), ("blob", 0.9), ("blob", 1.0), ("random", 0.5)]
    images = pictures(len(cases), 61, 70)
    removed = torch.cat([removal(kind, share, 61, 70, seed) for seed, (kind, share) in enumerate(cases)])
    removed[-1] = False
    together = imputed(images, removed, NONE, tolerance=tolerance)
    for row in range(len(cases)):
        alone = imputed(images[row : row + 1], removed[row : row + 1], NONE, tolerance=tolerance)
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-6, rtol=0)
    assert torch.equal(together, imputed(images, removed, NONE, tolerance=tolerance))


def test_kept_pixels_keep_their_bits_and_the_input_is_not_written_to():
    images, removed = (
        pictures(2, 33, 20) * 1e3,
        torch.cat([removal("blob", 0.6, 33, 20), removal("random", 0.6, 33, 20)]),
    )
    before = images.clone()
    filled = imputed(images, removed, torch.ones(1))
    kept = ~removed[:, None].expand_as(images)
    assert torch.equal(filled[kept], before[kept])
    assert torch.equal(images, before)
    assert not torch.equal(filled, before)


def test_noise_is_added_to_the_removed_pixels_alone():
    images, removed = pictures(2, 24, 24), torch.cat([removal("blob", 0.4, 24, 24), removal("random", 0.4, 24, 24)])
    noise = 0.01 * torch.randn(images.shape, generator=torch.Generator().manual_seed(3))
    added = imputed(images, removed, noise) - imputed(images, removed, NONE)
    torch.testing.assert_close(added, noise * removed[:, None], atol=1e-6, rtol=0)


def test_an_image_with_nothing_left_becomes_its_mean_colour_plus_noise():
    images, removed = pictures(2, 12, 15) + 2, torch.ones(2, 12, 15, dtype=torch.bool)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(4))
    expected = images.mean(dim=(2, 3), keepdim=True) + noise
    torch.testing.assert_close(imputed(images, removed, noise), expected)
    single = torch.tensor([[[[5.0]]]])
    assert torch.equal(imputed(single, torch.ones(1, 1, 1, dtype=torch.bool), torch.ones(1)), single + 1)


def test_with_nothing_removed_the_images_come_back_equal_in_memory_of_their_own():
    images = pictures(2, 9, 11)
    filled = imputed(images, torch.zeros(2, 9, 11, dtype=torch.bool), torch.ones(1))
    assert torch.equal(filled, images)
    assert filled.data_ptr() != images.data_ptr()


def test_what_stood_in_the_hole_does_not_matter_not_even_nan():
    images, removed = pictures(1, 20, 20), removal("blob", 0.5, 20, 20)
    spoilt = images.masked_fill(removed[:, None], float("nan"))
    assert torch.equal(imputed(spoilt, removed, NONE), imputed(images, removed, NONE))


def test_memory_format_and_half_precision_change_no_more_than_rounding():
    images, removed = pictures(2, 32, 32), torch.cat([removal("blob", 0.5, 32, 32), removal("random", 0.5, 32, 32)])
    expected = imputed(images, removed, NONE)
    assert torch.equal(imputed(images.contiguous(memory_format=torch.channels_last), removed, NONE), expected)
    halves = imputed(images.bfloat16(), removed, NONE)
    assert halves.dtype == torch.bfloat16
    assert deviation(halves, expected) < 0.05
