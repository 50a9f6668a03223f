"""Regions of interest, and options with a number for each axis."""

from __future__ import annotations

import re

import pytest
import torch
from volume_case import made

import explainers
from explainers.errors import ImageError, OptionError


class Everywhere(torch.nn.Module):
    """Scores that every position moves."""

    def forward(self, x):
        weights = torch.linspace(1, 2, x[0].numel()).view(x.shape[1:])
        total = (weights * x).flatten(1).sum(1) / 20
        return torch.stack([total, -total], dim=1)


@pytest.mark.parametrize("size", [(2, 6, 7, 5), (1, 9, 11), (3, 17)])
@pytest.mark.parametrize("method", ["rise", "occlusion"])
def test_a_region_of_interest_is_perturbed_as_if_it_were_the_input(method, size):
    inputs = torch.rand(2, *size)
    roi = tuple((1, side - 1) for side in size[1:])
    seen = []

    def network(images):
        seen.append(images.clone())
        return Everywhere()(images)

    options = {"rise": {"masks": 32, "grid": 2}, "occlusion": {"window": 2, "stride": 2}}[method]
    found = explainers.create(method, network, roi=roi, **options)(inputs, 0)
    place = tuple(slice(*span) for span in roi)
    outside = torch.ones(size[1:], dtype=torch.bool)
    outside[place] = False
    assert (found[:, outside] == 0).all()
    rows = torch.cat(seen)
    same = torch.stack([(rows[:, :, outside] == each[:, outside]).flatten(1).all(1) for each in inputs])
    probes = 5 + 8  # by which `auto` finds out about a black box; two batches that show whether images are mixed
    assert (~same.any(dim=0)).sum() <= probes

    def within(part):
        images = inputs[:1].repeat(len(part), *[1] * len(size))
        images[(slice(None), slice(None), *place)] = part
        return Everywhere()(images)

    cropped = inputs[(slice(None), slice(None), *place)]
    alone = explainers.create(method, within, activation="softmax", **options)(cropped[:1], 0)
    again = explainers.create(method, network, activation="softmax", roi=roi, **options)(inputs[:1], 0)
    torch.testing.assert_close(again[(slice(None), *place)], alone, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", ["rise", "occlusion"])
def test_a_region_that_reaches_outside_of_an_image_is_that_images_error(method):
    network, inputs = made("volume")
    with pytest.raises(ImageError, match="reaches outside of the input, which has 5 × 11 × 7 positions"):
        explainers.create(method, network, roi=((0, 6), (0, 5), (0, 5)))(inputs)


@pytest.mark.parametrize("method", ["rise", "occlusion"])
@pytest.mark.parametrize(
    ("roi", "message"),
    [
        (((0, 5), (0, 5)), "roi=((0, 5), (0, 5)) is of 2 axes, and the input has 3, of 5 × 11 × 7 positions; expected"),
        (((-1, 4), (0, 5), (0, 5)), "-1 is before the first position"),
        (((2, 2), (0, 5), (0, 5)), "there is nothing from 2 to 2; expected start < stop"),
        ((slice(0, 4, 2), (0, 5), (0, 5)), "expected slices without a step"),
        (((0, 1, 2), (0, 5), (0, 5)), "expected (start, stop) for each axis"),
        (("a", "b", "c"), f"{'{}'}: roi="),
    ],
)
def test_a_region_that_is_none_is_refused(method, roi, message):
    network, inputs = made("volume")
    with pytest.raises(OptionError, match=re.escape(message.format(method))):
        explainers.create(method, network, roi=roi)(inputs)


def test_slices_say_a_region_too():
    network, inputs = made("volume")
    one = explainers.Occlusion(network, window=2, roi=(slice(1, 4), slice(None), slice(2, None)))(inputs)
    other = explainers.Occlusion(network, window=2, roi=((1, 4), (0, 11), (2, 7)))(inputs)
    assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("rise", {"grid": (3, 3)}, "grid=(3, 3) has 2 sides, and the input 3 axes"),
        ("occlusion", {"window": (3, 3)}, "window=(3, 3) has 2 sides, and the input 3 axes"),
        ("occlusion", {"window": (0, 3, 3)}, "window=(0, 3, 3); expected at least one pixel"),
        ("lime", {"segments": torch.zeros(11, 7, dtype=torch.long)}, "segments of shape"),
    ],
)
def test_sides_for_another_number_of_axes_are_refused(method, options, message):
    network, inputs = made("volume")
    with pytest.raises((OptionError, IndexError), match=re.escape(message)):
        explainers.create(method, network, **options)(inputs)


def test_a_grid_of_too_many_cells_is_refused():
    network, inputs = made("volume")
    with pytest.raises(OptionError, match="grid=.* has 27000 cells, and the balanced design takes fewer than 16384"):
        explainers.RISE(network, masks=8, grid=(30, 30, 30))(inputs)
