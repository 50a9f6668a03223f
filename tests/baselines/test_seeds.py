"""Seeds: where they may lie, that every such place is as likely, what is ignored; the cross entropy on them."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_erosion
from scipy.stats import chisquare
from skimage.filters import threshold_otsu

from explainers.baselines import draw_seeds, partial_cross_entropy
from explainers.errors import MapError, OptionError

IGNORED = -100


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def blob(height=14, width=11, seed=0):
    """Noise around a hill."""
    rows, columns = np.mgrid[:height, :width]
    hill = np.exp(-((rows - 5) ** 2 + (columns - 6) ** 2) / 8)
    noise = np.random.default_rng(seed).uniform(0, 0.2, (height, width))
    return (hill + noise).astype(np.float32)


def places(cam, erosion, share=0.1):
    """Where the object's and the background's pixel may be drawn, by other libraries."""
    scaled = (cam - cam.min()) / (cam.max() - cam.min())
    levels = (scaled * 255).astype(np.uint8)
    region = levels > np.clip(threshold_otsu(levels), 1, 254)
    core = binary_erosion(region, np.ones((erosion, erosion)), border_value=1)
    lowest = np.argsort(cam, axis=None)[: int(share * cam.size)]
    return np.flatnonzero(core if core.any() else region).tolist(), lowest.tolist()


def marked(shape, inside, outside):
    """What two drawn pixels come to."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    near = [np.maximum(abs(rows - each // shape[1]), abs(columns - each % shape[1])) <= 1 for each in (outside, inside)]
    seeds = np.full(shape, IGNORED)
    seeds[near[0] & ~near[1]] = 0
    seeds[near[1] & ~near[0]] = 1
    return seeds


@pytest.mark.parametrize("erosion", [1, 3, 11])
def test_every_draw_is_one_of_the_allowed_and_all_are_equally_likely(erosion):
    cam = blob()
    inside, outside = places(cam, erosion)
    assert len(inside) >= 4
    assert len(outside) == 15
    allowed = {marked(cam.shape, i, o).tobytes(): (i, o) for i in inside for o in outside}
    assert len(allowed) == len(inside) * len(outside)
    found = draw_seeds(torch.from_numpy(cam).repeat(3000, 1, 1), rng(), erosion=erosion)
    pairs = [allowed[seeds.tobytes()] for seeds in found.numpy()]  # a KeyError: one that is not allowed
    for which, expected in ((0, inside), (1, outside)):
        counts = Counter(pair[which] for pair in pairs)
        assert set(counts) == set(expected)
        assert chisquare([counts[each] for each in expected]).pvalue > 1e-3


def test_an_object_that_would_erode_away_stays_as_it_was():
    cam = torch.zeros(1, 12, 12)
    cam[0, 3:6, 4:7] = 1
    for seed in range(20):
        seeds = draw_seeds(cam, rng(seed))
        rows, columns = (seeds[0] == 1).nonzero().T
        assert 2 <= rows.min() <= rows.max() <= 6
        assert 3 <= columns.min() <= columns.max() <= 7
    eroded = draw_seeds(cam.repeat(20, 1, 1), rng(), erosion=3)
    ((row, column),) = {
        tuple(np.argwhere(each == 1).mean(0).round()) for each in eroded.numpy() if (each == 1).sum() == 9
    }
    assert (row, column) == (4, 5)


def test_the_level_is_at_least_one_byte():
    """Where nearly all is 0 or 1 of 255, Otsu would part these two and take half of the image for the object."""
    cam = torch.zeros(1, 600, 600)
    cam[0, :300] = 1.5 / 255
    cam[0, 450, 100] = 1
    levels = (cam[0].numpy() * 255).astype(np.uint8)
    assert threshold_otsu(levels) == 0
    rows, columns = (draw_seeds(cam, rng(), erosion=1)[0] == 1).nonzero().T
    assert (rows.float().mean(), columns.float().mean()) == (450, 100)


def test_what_is_beyond_the_border_does_not_erode():
    cam = torch.zeros(1, 20, 20)
    cam[0, :8] = 1
    seeds = draw_seeds(cam.repeat(200, 1, 1), rng())
    tops = {int((each == 1).nonzero()[:, 0].min()) for each in seeds if (each == 1).any()}
    assert tops == {0, 1}  # drawn in rows 0, 1, 2: five rows of eight are eroded from below, none from above


def test_seeds_that_overlap_are_ignored_where_they_do():
    cam = torch.tensor([[[0.0, 1, 1, 1, 1]]])  # background at 0, the object begins beside it
    found = {tuple(each[0].tolist()) for each in draw_seeds(cam.repeat(200, 1, 1), rng(), erosion=1)}
    i = IGNORED
    assert found == {(i, i, 1, i, i), (0, i, 1, 1, i), (0, 0, 1, 1, 1), (0, 0, i, 1, 1)}


@pytest.mark.parametrize("value", [0.0, 0.3, -1.0])
def test_of_a_constant_map_everything_is_ignored(value):
    cams = torch.stack([torch.full((9, 8), value), torch.from_numpy(blob(9, 8))])
    seeds = draw_seeds(cams, rng())
    assert (seeds[0] == IGNORED).all()
    assert (seeds[1] == 0).any()
    assert (seeds[1] == 1).any()


def test_equal_lowest_pixels_are_as_likely_wherever_they_lie():
    """A rectified map is 0 in most places: the first of them in reading order would mark its top alone."""
    cam = torch.zeros(10, 10)
    cam[:2] = 1
    cam[5, 5:8] = -0.5  # three below, so seven of the other 77 make up a tenth
    found = draw_seeds(cam.repeat(4000, 1, 1), rng(), erosion=1).numpy()
    centres = Counter()
    for seeds in found:
        rows, columns = np.nonzero(seeds == 0)
        if len(rows) == 9:
            centres[(int(rows.mean()), int(columns.mean()))] += 1
    assert min(centres[5, column] for column in (5, 6, 7)) > 300  # a tenth of the draws each
    others = [centres[row, column] for row in (4, 6, 8) for column in range(1, 9)]
    assert chisquare(others).pvalue > 1e-3
    assert np.mean(others) == pytest.approx(4000 * 0.7 / 77, rel=0.2)


def test_scale_and_order_of_the_batch_do_not_matter_and_the_generator_decides():
    cams = torch.stack([torch.from_numpy(blob(seed=seed)) for seed in range(3)])
    seeds = draw_seeds(cams, rng(4))
    assert torch.equal(draw_seeds(4 * cams - 1, rng(4)), seeds)
    assert not torch.equal(draw_seeds(cams, rng(5)), seeds)
    one, two = rng(4), rng(4)
    draw_seeds(cams, one)
    draw_seeds(torch.zeros_like(cams), two)
    assert torch.equal(torch.rand(3, generator=one), torch.rand(3, generator=two))  # as much was drawn


def test_partial_cross_entropy_by_hand_and_slowly():
    logits = torch.randn(3, 2, 4, 5, generator=rng(), dtype=torch.float64)
    seeds = torch.full((3, 4, 5), IGNORED)
    seeds[0, 1, 2], seeds[0, 3, 3], seeds[2, 0, 0] = 1, 0, 1  # none in image 1
    terms = [
        math.log(1 + math.exp(float(logits[n, 1 - side, y, x] - logits[n, side, y, x])))
        for n, y, x, side in ((0, 1, 2, 1), (0, 3, 3, 0), (2, 0, 0, 1))
    ]
    assert float(partial_cross_entropy(logits, seeds)) == pytest.approx(sum(terms) / 3, rel=1e-12)
    assert torch.autograd.gradcheck(lambda z: partial_cross_entropy(z, seeds), logits.requires_grad_())
    (gradient,) = torch.autograd.grad(partial_cross_entropy(logits, seeds), logits)
    assert not gradient[1].any()


def test_without_any_seed_it_is_nothing_and_not_nan():
    logits = torch.randn(2, 2, 3, 3, generator=rng(), requires_grad=True)
    loss = partial_cross_entropy(logits, torch.full((2, 3, 3), IGNORED))
    assert float(loss.detach()) == 0
    assert not torch.autograd.grad(loss, logits)[0].any()


@pytest.mark.parametrize(
    ("shape", "more", "error", "message"),
    [
        ((2, 1, 5, 5), {}, MapError, "class activation maps of shape (2, 1, 5, 5); expected (N, H, W)"),
        (
            (2, 5, 5),
            {"erosion": 4},
            OptionError,
            "erosion=4, background_share=0.1; expected an odd side, and between 0 and 1",
        ),
        (
            (2, 5, 5),
            {"background_share": 0.0},
            OptionError,
            "erosion=11, background_share=0.0; expected an odd side, and between 0 and 1",
        ),
    ],
)
def test_what_does_not_fit_is_refused(shape, more, error, message):
    with pytest.raises(error) as caught:
        draw_seeds(torch.zeros(shape), rng(), **more)
    assert str(caught.value) == message


def test_maps_that_are_no_numbers_and_seeds_of_another_size_are_refused():
    with pytest.raises(MapError) as caught:
        draw_seeds(torch.full((1, 3, 3), math.nan), rng())
    assert str(caught.value) == "the class activation maps hold NaN or infinite values, so no seeds can be drawn"
    with pytest.raises(MapError) as caught:
        partial_cross_entropy(torch.zeros(1, 2, 3, 3), torch.zeros(1, 3, 4).long())
    assert str(caught.value) == "logits (1, 2, 3, 3), seeds (1, 3, 4); expected (N, 2, H, W) and (N, H, W)"
