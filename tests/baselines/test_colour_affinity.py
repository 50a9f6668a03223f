"""Colour affinity: by hand, slowly over all pairs, its gradient without the matrix, and samples without bias."""

from __future__ import annotations

import math

import pytest
import torch

from explainers.baselines import colour_affinity
from explainers.baselines.losses.segmentation import bilateral_sums
from explainers.errors import MapError, OptionError


def slowly(images, maps, sigma_rgb, sigma_xy):
    """The formula with its matrix, in float64."""
    count, _, height, width = maps.shape
    total = 0.0
    for image, both in zip(images.double(), maps.double(), strict=True):
        weights = torch.empty(height * width, height * width, dtype=torch.float64)
        spots = [(y, x) for y in range(height) for x in range(width)]
        for i, (y, x) in enumerate(spots):
            for j, (v, u) in enumerate(spots):
                colour = ((image[:, y, x] - image[:, v, u]) ** 2).sum()
                weights[i, j] = math.exp(
                    -colour / (2 * sigma_rgb**2) - ((y - v) ** 2 + (x - u) ** 2) / (2 * sigma_xy**2)
                )
        for channel in both.reshape(2, -1):
            total += channel @ weights @ (1 - channel)
    return total / count


def drawn(count=2, height=5, width=4, channels=3, seed=0):
    rng = torch.Generator().manual_seed(seed)
    near = torch.randint(100, 150, (count, channels, height, width), generator=rng)  # alike, but for some
    near[:, :, 0] = torch.randint(0, 256, (count, channels, width), generator=rng)
    logits = torch.randn(count, 2, height, width, generator=rng, dtype=torch.float64)
    return near, logits.softmax(1)


def test_by_hand():
    """Two pixels, 3 apart in colour and 1 in place: each alone ¼ a channel, and the pair once from either side."""
    images = torch.tensor([[[[10.0, 13.0]]]])
    maps = torch.tensor([[[[0.5, 1.0]], [[0.5, 0.0]]]], dtype=torch.float64)
    weight = math.exp(-9 / (2 * 4) - 1 / (2 * 25))
    expected = 2 * 0.25 + weight * ((0.5 * 0 + 1 * 0.5) + (0.5 * 1 + 0 * 0.5))
    assert float(colour_affinity(images, maps, 2.0, 5.0)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("sigma_rgb", "sigma_xy"), [(15.0, 100.0), (40.0, 1.5), (3.0, 5.0)])
@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (2, 5, 4, 3), (3, 4, 7, 1), (10, 3, 3, 3)])
@pytest.mark.parametrize("block", [1, 40, 10_000])
def test_equals_the_slow_form_in_blocks_of_any_size(sigma_rgb, sigma_xy, shape, block, monkeypatch):
    monkeypatch.setitem(bilateral_sums.BLOCK, "cpu", block)
    images, maps = drawn(*shape)
    expected = float(slowly(images, maps, sigma_rgb, sigma_xy))
    assert float(colour_affinity(images, maps, sigma_rgb, sigma_xy)) == pytest.approx(expected, rel=1e-12)
    assert float(colour_affinity(images, maps.float(), sigma_rgb, sigma_xy)) == pytest.approx(expected, rel=1e-5)


def test_its_gradient_is_that_of_its_value():
    images, maps = drawn()
    assert torch.autograd.gradcheck(lambda each: colour_affinity(images, each, 20.0, 3.0), maps.requires_grad_())
    sample = lambda each: colour_affinity(images, each, 20.0, 3.0, exact=7, rng=torch.Generator().manual_seed(3))  # noqa: E731
    assert torch.autograd.gradcheck(sample, maps)


def test_the_codes_form_has_the_same_gradient_in_logits():
    """−Σ W S S: less by a constant of the images."""
    images, maps = drawn(1)
    pixels = images[0].reshape(3, -1).T.double()
    places = torch.cartesian_prod(torch.arange(5.0), torch.arange(4.0)).double()
    weights = (-(torch.cdist(pixels, pixels) ** 2) / 450 - torch.cdist(places, places) ** 2 / 18).exp()
    logits = maps.log().requires_grad_()
    ours = colour_affinity(images, logits.softmax(1), 15.0, 3.0)
    codes = -sum(each @ weights @ each for each in logits.softmax(1)[0].flatten(1))
    assert float((ours - codes).detach()) == pytest.approx(float(weights.sum()), rel=1e-12)
    torch.testing.assert_close(*(torch.autograd.grad(each, logits)[0] for each in (ours, codes)))


def test_a_map_along_the_colours_costs_less_than_one_across():
    images = torch.zeros(1, 3, 6, 6)
    images[:, :, :, 3:] = 200
    along, across = torch.zeros(2, 1, 2, 6, 6)
    along[:, 1, :, 3:] = across[:, 1, 3:] = 1
    along[:, 0], across[:, 0] = 1 - along[:, 1], 1 - across[:, 1]
    assert colour_affinity(images, along) < 1e-6 < colour_affinity(images, across)
    assert colour_affinity(images, torch.stack([torch.zeros(1, 6, 6), torch.ones(1, 6, 6)], 1)) == 0


def test_samples_have_no_bias_in_value_and_gradient():
    images, maps = drawn(2, 8, 7)
    maps.requires_grad_()
    exact = colour_affinity(images, maps, 20.0, 5.0)
    (slope,) = torch.autograd.grad(exact, maps)
    rng = torch.Generator().manual_seed(0)
    values, slopes = [], []
    for _ in range(2000):
        value = colour_affinity(images, maps, 20.0, 5.0, exact=28, rng=rng)
        slopes.append(torch.autograd.grad(value, maps)[0])
        values.append(float(value.detach()))
    values, slopes = torch.tensor(values), torch.stack(slopes)
    for found, expected in ((values, exact.detach()), (slopes, slope)):
        error = found.std(dim=0) / len(found) ** 0.5
        assert ((found.mean(dim=0) - expected).abs() < 4.5 * error).all()
        assert (error < 0.2 * expected.abs().mean()).all()  # or it would say nothing


def test_samples_come_from_the_given_generator_alone():
    images, maps = drawn(1, 6, 6)
    state = torch.random.get_rng_state()
    one, two = (
        float(colour_affinity(images, maps, exact=9, rng=torch.Generator().manual_seed(seed))) for seed in (5, 5)
    )
    assert one == two != float(colour_affinity(images, maps, exact=9, rng=torch.Generator().manual_seed(6)))
    assert torch.equal(state, torch.random.get_rng_state())
    assert colour_affinity(images, maps, exact=36) == colour_affinity(images, maps)


def test_the_matrix_is_not_kept():
    """At 64 × 64 it would be 64 MiB an image in float32; what the graph keeps is as large as the maps."""
    images, maps = drawn(2, 64, 64)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor.numel()) or tensor, lambda t: t):
        colour_affinity(images, maps.float().requires_grad_())
    assert max(kept) == maps.numel()


def test_mixed_precision_does_not_reach_it():
    images, maps = drawn()
    expected = colour_affinity(images, maps.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(colour_affinity(images, maps.float()), expected)
        assert colour_affinity(images, maps.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize(
    ("images", "maps", "more", "error", "message"),
    [
        (
            (2, 3, 4, 4),
            (2, 1, 4, 4),
            {},
            MapError,
            "images (2, 3, 4, 4), maps (2, 1, 4, 4); expected (N, C, H, W), (N, 2, H, W)",
        ),
        (
            (2, 3, 4, 4),
            (2, 2, 4, 5),
            {},
            MapError,
            "images (2, 3, 4, 4), maps (2, 2, 4, 5); expected as many, of one size",
        ),
        (
            (1, 3, 4, 4),
            (2, 2, 4, 4),
            {},
            MapError,
            "images (1, 3, 4, 4), maps (2, 2, 4, 4); expected as many, of one size",
        ),
        (
            (1, 3, 4, 4),
            (1, 2, 4, 4),
            {"sigma_rgb": 0},
            OptionError,
            "sigma_rgb=0, sigma_xy=100.0, exact=4096; expected positive widths and 2 pixels or more",
        ),
    ],
)
def test_what_does_not_fit_is_refused(images, maps, more, error, message):
    with pytest.raises(error) as caught:
        colour_affinity(torch.zeros(images), torch.zeros(maps), **more)
    assert str(caught.value) == message
