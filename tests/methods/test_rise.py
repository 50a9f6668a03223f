"""RISE: exact expectations, balanced designs, and maps that depend on the seed alone."""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small import Chain, lively
from torch import nn

from explainers import RISE
from explainers.errors import OptionError
from explainers.methods.perturbation.rise_masks import Block, MaskShape, block_length, draw_block


def every_mask(shape: MaskShape) -> torch.Tensor:
    """(shifts · 2^cells, H, W): all masks there are, each equally likely at p = 0.5."""
    cells = shape.grid[0] * shape.grid[1]
    grids = torch.tensor(list(itertools.product([0.0, 1.0], repeat=cells)), dtype=torch.float64).view(-1, *shape.grid)
    shifts = torch.tensor(list(itertools.product(*(range(cell) for cell in shape.cell))))
    blocks = [Block(grids, shift.expand(len(grids), 2), still=True) for shift in shifts]
    return torch.cat([shape.enlarged(block, grids) for block in blocks])


def exact(score, image: torch.Tensor, grid: int) -> torch.Tensor:
    """(H, W): the expectation of the paper's estimator, by going through all masks."""
    masks = every_mask(MaskShape((grid, grid), tuple(image.shape[-2:])))
    values = score(image[None] * masks[:, None])[:, 0]
    return (values[:, None, None] * masks).mean(dim=0) / 0.5


def linear(weights):
    return lambda images: (images * weights).sum((1, 2, 3))[:, None]


def nonlinear(images):
    """A product, a threshold and a sum of squares: interactions of two and of three parts."""
    left, right = images[:, 0, :, :3].mean((1, 2)), images[:, 0, :, 3:].mean((1, 2))
    corner = images[:, 0, :3, :3].mean((1, 2))
    return torch.stack([left * right + torch.relu(left + corner - 0.8) * right, left], dim=1)


@pytest.mark.parametrize(("grid", "size"), [((7, 7), (50, 77)), ((3, 5), (8, 8)), ((1, 1), (6, 9)), ((7, 7), (4, 4))])
def test_masks_are_enlarged_grids_cut_out_at_a_shift(grid, size):
    shape = MaskShape(grid, size)
    block = draw_block("paper", shape, 0.5, seed=3, index=0)
    large = F.interpolate(
        block.grids[:, None].double(),
        size=((grid[0] + 1) * shape.cell[0], (grid[1] + 1) * shape.cell[1]),
        mode="bilinear",
    )
    masks = shape.enlarged(block, torch.zeros(1, dtype=torch.float64))
    for mask, whole, (top, left) in zip(masks, large[:, 0], block.shifts.tolist(), strict=True):
        torch.testing.assert_close(mask, whole[top : top + size[0], left : left + size[1]], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("grid", "length"), [((7, 7), 128), ((3, 3), 32), ((8, 8), 256), ((1, 1), 4)])
def test_a_balanced_block_has_every_cell_on_half_the_time_and_no_two_cells_correlated(grid, length):
    block = draw_block("balanced", MaskShape(grid, (56, 40)), 0.5, seed=1, index=2)
    signs = 2 * block.grids.flatten(1).double() - 1
    assert len(block) == length
    torch.testing.assert_close(signs.T @ signs, length * torch.eye(signs.shape[1], dtype=torch.float64))
    assert torch.equal(signs[0::2], -signs[1::2])
    assert len(block.shifts.unique(dim=0)) == 1


@pytest.mark.parametrize("p", [0.1, 0.25, 0.3, 0.8])
def test_for_another_p_every_cell_is_on_equally_often(p):
    shape = MaskShape((7, 7), (56, 56))
    counts = torch.stack([draw_block("balanced", shape, p, 0, index).grids.flatten(1).sum(0) for index in range(200)])
    assert set(counts.unique().tolist()) <= {math.floor(64 * p), math.ceil(64 * p)}
    assert counts.double().mean() / 64 == pytest.approx(p, abs=2e-3)


@pytest.mark.parametrize("design", ["paper", "balanced"])
def test_each_mask_on_its_own_is_bernoulli_and_its_shift_uniform(design):
    shape = MaskShape((3, 3), (9, 12))  # 3 × 4 shifts
    blocks = [draw_block(design, shape, 0.5, seed, 0)[:1] for seed in range(4000)]
    cells = torch.cat([block.grids.flatten(1) for block in blocks]).double()
    assert (cells.mean(0) - 0.5).abs().max() < 4 * 0.5 / 4000**0.5
    assert (torch.corrcoef(cells.T) - torch.eye(9)).abs().max() < 4 / 4000**0.5
    shifts = torch.cat([block.shifts for block in blocks])
    counts = torch.bincount(shifts[:, 0] * 4 + shifts[:, 1], minlength=12).double() / 4000
    assert (counts - 1 / 12).abs().max() < 4 * (1 / 12 / 4000) ** 0.5


def test_a_linear_score_needs_one_block_per_shift_to_be_exact():
    torch.manual_seed(0)
    weights = torch.randn(3, 3, 3, dtype=torch.float64)
    image = torch.randn(3, 3, 3, dtype=torch.float64)
    score = linear(weights)  # cells of one pixel: there is one shift
    found = RISE(score, grid=3, masks=32, activation=None)(image[None])[0]
    torch.testing.assert_close(found.double(), exact(score, image, 3), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("design", ["paper", "balanced"])
@pytest.mark.parametrize("score", ["linear", "nonlinear"])
def test_both_designs_have_the_expectation_of_the_paper_and_a_true_standard_error(design, score):
    torch.manual_seed(1)
    image = torch.rand(1, 6, 6, dtype=torch.float64)
    function = {"linear": linear(torch.randn(1, 6, 6, dtype=torch.float64)), "nonlinear": nonlinear}[score]
    wanted = exact(function, image, 3)
    maps, errors = [], []
    for seed in range(60):
        explained = RISE(function, grid=3, masks=512, design=design, activation=None, seed=seed).explain(image[None], 0)
        maps.append(explained.maps[0].double())
        errors.append(explained.standard_error[0].double())
    maps, error = torch.stack(maps), torch.stack(errors).square().mean(0).sqrt()
    assert ((maps.mean(0) - wanted).abs() / (error / 60**0.5)).max() < 4.5
    if design == "paper":  # blocks of the other design spread their shifts, so that its errors err on the safe side
        assert 0.75 < (maps.std(0) / error).mean() < 1.25
    else:
        assert (maps.std(0) / error).mean() < 1.25


def test_the_balanced_design_needs_fewer_masks():
    image, off = torch.rand(1, 6, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64), {}
    wanted = exact(nonlinear, image, 3)
    for design in ("paper", "balanced"):
        maps = [
            RISE(nonlinear, grid=3, masks=128, design=design, activation=None, seed=s)(image[None], 0)
            for s in range(20)
        ]
        off[design] = sum((found[0].double() - wanted).square().mean() for found in maps) / 20
    assert off["balanced"] < off["paper"] / 10


@pytest.mark.parametrize("options", [{}, {"design": "paper"}, {"p": 0.3}, {"grid": (3, 5)}])
def test_the_same_seed_gives_the_same_map_on_every_batch_size(options):
    model, images = lively(Chain()).eval(), torch.randn(1, 3, 24, 40)
    wanted = RISE(model, masks=150, batch_size=8, **options)(images)
    for size in (1, 5, 16, 40, 64, None):
        assert torch.equal(RISE(model, masks=150, batch_size=size, **options)(images), wanted)
    assert not torch.equal(RISE(model, masks=150, seed=1, **options)(images), wanted)


@pytest.mark.parametrize("share", [True, False])
def test_images_of_a_batch_get_the_maps_they_get_alone(share):
    model, images = lively(Chain()).eval(), torch.randn(3, 3, 16, 16)
    rise = RISE(model, masks=40, share_masks=share)
    together = rise(images)
    for row in range(3):
        assert torch.equal(rise(images[row : row + 1])[0], together[row])


def test_shared_masks_are_the_same_for_all_images_and_others_are_not():
    seen = []

    def network(images):
        seen.append((images / images.amax((1, 2, 3), keepdim=True)).clone())
        return images.mean((2, 3))

    images = torch.ones(2, 1, 16, 16) * torch.tensor([1.0, 2.0]).view(2, 1, 1, 1)
    for share in (True, False):
        seen.clear()
        RISE(network, masks=8, batch_size=8, share_masks=share)(images)
        assert torch.allclose(seen[-2], seen[-1], equal_nan=True) is share


def test_many_classes_cost_one_set_of_passes_and_equal_each_alone():
    model, images = lively(Chain(classes=40)).eval(), torch.randn(2, 3, 16, 16)
    rise = RISE(model, masks=100)
    every = rise.explain(images, torch.arange(40).expand(2, 40))
    assert every.maps.shape == every.standard_error.shape == (2, 40, 16, 16)
    assert rise.predictor.passes == 200
    for target in (0, 17, 39):
        torch.testing.assert_close(every.maps[:, target], rise(images, target), rtol=1e-6, atol=1e-7)


def test_tolerance_stops_when_halves_agree_and_the_map_is_that_of_the_masks_used():
    model, image = lively(Chain()).eval(), torch.randn(1, 3, 24, 24)
    explained = RISE(model, masks=20_000, tolerance=0.02).explain(image)
    used = explained.details[0]["masks"]
    assert 4 * 128 <= used < 20_000
    assert torch.equal(RISE(model, masks=used)(image), explained.maps)
    converged = RISE(model, masks=30_000, seed=9)(image)
    agreement = np.corrcoef(explained.maps.flatten(), converged.flatten())[0, 1]
    assert agreement > 0.97
    assert RISE(model, masks=300, tolerance=1e-9).explain(image).details[0]["masks"] == 384  # three whole blocks


@pytest.mark.parametrize(("grid", "p", "block"), [(3, 0.5, 32), ((2, 4), 0.5, 32), (3, 0.3, 64)])
def test_the_balanced_design_takes_whole_blocks_alone(grid, p, block):
    """A begun block would put more error into the map than its masks take away, and its standard error would not say so."""
    image = torch.rand(1, 1, 6, 6, dtype=torch.float64)

    def explained(masks, design="balanced"):
        return RISE(nonlinear, grid=grid, p=p, masks=masks, design=design, activation=None).explain(image, 0)

    whole = explained(5 * block)
    for more in (1, block // 2, block - 1):
        with pytest.warns(UserWarning, match=f"{5 * block} masks of the {4 * block + more} asked for: .* of {block}"):
            begun = explained(4 * block + more)
        assert begun.details[0]["masks"] == 5 * block
        assert torch.equal(begun.maps, whole.maps)
        assert torch.equal(begun.standard_error, whole.standard_error)
    assert explained(block - 3).details[0]["masks"] == block - 3
    assert explained(4 * block + 7, "paper").details[0]["masks"] == 4 * block + 7


def test_the_default_is_a_whole_number_of_blocks_and_whole_numbers_are_not_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for options in (
            {},
            {"p": 0.3},
            {"masks": 256},
            {"masks": 128},
            {"masks": 5},
            {"masks": 200, "design": "paper"},
        ):
            rise = RISE(nonlinear, **options)
            assert rise.planned == rise.masks


@pytest.mark.parametrize(
    ("options", "length", "masks"),
    [
        ({}, 128, 3968),
        ({"design": "paper"}, 64, 4000),  # as published: no blocks have to be whole
        ({"grid": 10}, 256, 3840),
        ({"grid": 4}, 64, 3968),
        ({"p": 0.3}, 64, 3968),
        ({"grid": 48}, 8192, 8192),  # one block
    ],
)
def test_the_default_is_the_papers_number_or_the_whole_blocks_in_it(options, length, masks):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nobody asked for a number that cannot be
        rise = RISE(lambda images: images.mean((2, 3)), **options)
    assert (rise.masks, rise.planned) == (masks, masks)
    grid = options.get("grid", 7)
    assert block_length(rise.design, MaskShape((grid, grid), (grid, grid)), rise.p) == length


@pytest.mark.parametrize("masks", [250, 250 - 250 % 64])
def test_the_standard_error_is_that_of_the_map_whatever_the_number_of_masks(masks):
    """Over 40 runs on a score of random pairs of pixels; errors that err are on the safe side."""
    draw = torch.Generator().manual_seed(3)
    pairs = torch.randn(16, 16, generator=draw, dtype=torch.float64) / 16

    def score(images):
        seen = images[:, 0].flatten(1)
        return torch.sigmoid(torch.einsum("ni,ij,nj->n", seen, pairs, seen))[:, None]

    image = torch.ones(1, 1, 4, 4, dtype=torch.float64)
    found = [RISE(score, grid=4, masks=masks, activation=None, seed=seed).explain(image, 0) for seed in range(40)]
    maps = torch.stack([each.maps[0] for each in found]).double()
    errors = torch.stack([each.standard_error[0] for each in found]).double()
    ratio = (maps.var(0).mean() / errors.square().mean()).sqrt()
    assert 0.85 < ratio < 1.15


def test_the_estimate_can_be_watched():
    model, image, seen = lively(Chain()).eval(), torch.randn(1, 3, 16, 16), []
    final = RISE(model, masks=384, watch=seen.append)(image, torch.tensor([[0, 3]]))
    assert [estimate.masks for estimate in seen] == [128, 256, 384]
    torch.testing.assert_close(seen[-1].maps, final[0], rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(seen[0].maps, RISE(model, masks=128)(image, torch.tensor([[0, 3]]))[0])


@pytest.mark.parametrize("size", [(1, 8, 8), (3, 17, 41), (4, 5, 5), (3, 64, 20)])
@pytest.mark.parametrize("masks", [1, 7, 128, 129])
def test_any_size_and_any_number_of_masks(size, masks):
    channels = size[0]
    model = nn.Sequential(nn.Conv2d(channels, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    explained = RISE(model, masks=masks).explain(torch.randn(2, *size))
    assert explained.maps.shape == (2, *size[1:])
    assert torch.isfinite(explained.maps).all()
    assert torch.isnan(explained.standard_error).all() == (masks <= 128)  # one block says nothing of its spread


@pytest.mark.parametrize("network", [lambda x: {"logits": x.mean((2, 3))}, lambda x: x.mean((2, 3))])
def test_black_boxes_and_dicts(network):
    assert RISE(network, masks=16)(torch.rand(1, 3, 8, 8)).shape == (1, 8, 8)


@pytest.mark.parametrize("kind", ["zero", "mean", "blur", "image"])
def test_masked_pixels_become_the_substrate(kind):
    from explainers.passes.substrate import blurred

    seen = []
    image = torch.rand(2, 20, 20, dtype=torch.float64)
    given = torch.rand(2, 20, 20, dtype=torch.float64)
    wanted = {
        "zero": torch.zeros_like(image),
        "mean": image.mean((1, 2), keepdim=True).expand_as(image),
        "blur": blurred(image[None])[0],
        "image": given,
    }[kind]
    network = lambda x: (seen.append(x.clone()), x.mean((2, 3)))[1]  # noqa: E731
    RISE(network, masks=8, batch_size=8, substrate=given if kind == "image" else kind)(image[None])
    masks = MaskShape((7, 7), (20, 20)).enlarged(
        draw_block("balanced", MaskShape((7, 7), (20, 20)), 0.5, 0, 0)[:8], image
    )
    torch.testing.assert_close(seen[-1], masks[:, None] * image + (1 - masks[:, None]) * wanted)


def test_running_out_of_memory_does_not_change_the_map():
    model, image = lively(Chain()).eval(), torch.randn(1, 3, 16, 16)

    def crowded(images):
        if len(images) > 20:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return model(images)

    wanted = RISE(lambda x: model(x), masks=200, batch_size=8)(image)
    assert torch.equal(RISE(crowded, masks=200, batch_size=64)(image), wanted)


def test_blocks_have_the_length_that_is_needed():
    assert block_length("balanced", MaskShape((7, 7), (224, 224)), 0.5) == 128
    assert block_length("paper", MaskShape((7, 7), (224, 224)), 0.5) == 64


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"masks": 0}, "masks=0"),
        ({"p": 1.0}, "p=1.0"),
        ({"design": "sobol"}, "design='sobol'; expected 'balanced' or 'paper'"),
        ({"tolerance": 2}, "tolerance=2"),
        ({"seed": -1}, "seed=-1"),
        ({"activation": "relu"}, "activation='relu'"),
        ({"substrate": "red"}, "substrate='red'; expected one of zero, mean, blur"),
        ({"substrate": torch.zeros(3, 9, 9)}, r"shape \(3, 9, 9\)"),
    ],
)
def test_wrong_options_are_named(options, text):
    with pytest.raises(OptionError, match=text):
        RISE(Chain(), **options)(torch.randn(1, 3, 8, 8))
