"""The order of pixels and patches: ties by position, every pixel once."""

from __future__ import annotations

import pytest
import slow_curves as slow
import torch

from explainers.evaluation.measuring.ranking import patch_orders, pixel_orders, ranked


def test_equal_values_keep_the_order_of_their_position():
    values = torch.tensor([[0.0, 2.0, -0.0, 2.0, 1.0, 0.0]])
    assert ranked(values).tolist() == [[1, 3, 4, 0, 2, 5]]
    assert ranked(torch.zeros(1, 5)).tolist() == [[0, 1, 2, 3, 4]]


@pytest.mark.parametrize("size", [(6, 6), (7, 5), (1, 9), (10, 3)])
@pytest.mark.parametrize("patch", [1, 2, 3, 4, 20])
def test_patches_come_by_their_largest_value_with_all_their_pixels(size, patch):
    maps = torch.stack([torch.randn(size), torch.randn(size).round(), torch.zeros(size)])
    for map_, found in zip(maps, patch_orders(maps, patch), strict=True):
        wanted = slow.order(map_, patch)
        assert found.steps == len(wanted)
        for step, pixels in enumerate(wanted):
            part = found.pixels[found.count(step) : found.count(step + 1)].tolist()
            assert sorted(part) == sorted(y * size[1] + x for y, x in pixels)
        assert found.count(0) == 0
        assert sorted(found.pixels.tolist()) == list(range(size[0] * size[1]))


def test_patches_of_one_pixel_are_pixels():
    maps = torch.randn(2, 5, 8).round()
    for pixels, patches in zip(pixel_orders(maps), patch_orders(maps, 1), strict=True):
        assert torch.equal(pixels.pixels, patches.pixels)
