"""Curves of whole patches: against slow loops, and against those of pixels."""

from __future__ import annotations

import pytest
import slow_curves as slow
import torch
from curve_cases import ALL, SIZES, case, value


def test_a_patch_larger_than_the_image_leaves_two_points_and_a_pid_of_zero():
    network, images, maps, targets = case("chain")
    ends = [
        (slow.probability(network, image, target) + slow.probability(network, torch.zeros_like(image), target)) / 2
        for image, target in zip(images, targets, strict=True)
    ]
    for name in ("patch-insertion", "patch-deletion"):
        found = value(name, network, images, maps, targets, patch=9)
        torch.testing.assert_close(found, torch.tensor(ends, dtype=torch.float64))
    assert torch.equal(value("pid", network, images, maps, targets, patch=(9, 64)), torch.zeros(3, 2).double())


def test_pid_with_patches_of_one_pixel_is_the_id_score_with_the_same_baseline():
    network, images, maps, targets = case("residual")
    for options in ({"steps": ALL}, {"tolerance": 0.01}):
        pid = value("pid", network, images, maps, targets, patch=1, baseline="mean", **options)
        assert torch.equal(pid, value("id-score", network, images, maps, targets, baseline="mean", **options))


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("patch", [1, 2, 3, 5])
def test_insertion_and_deletion_equal_a_loop_over_pixels_and_patches(name, patch):
    network, images, maps, targets = case(name)
    start = images.mean((2, 3), keepdim=True).expand_as(images)
    risen = value("patch-insertion", network, images, maps, targets, patch=patch, baseline="mean", steps=ALL)
    fallen = value("patch-deletion", network, images, maps, targets, patch=patch, baseline="mean", steps=ALL)
    both = value("pid", network, images, maps, targets, patch=patch, baseline="mean", steps=ALL)
    for row, target in enumerate(targets):
        up = slow.trapezoid(slow.curve(network, start[row], images[row], maps[row], target, patch))
        down = slow.trapezoid(slow.curve(network, images[row], start[row], maps[row], target, patch))
        assert float(risen[row]) == pytest.approx(up, abs=1e-9)
        assert float(fallen[row]) == pytest.approx(down, abs=1e-9)
        assert float(both[row]) == pytest.approx(up - down, abs=1e-9)
