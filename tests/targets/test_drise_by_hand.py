"""D-RISE (Petsiuk et al. 2021) in a slow loop over the masks that were used, beside ours."""

from __future__ import annotations

import math

import pytest
import torch
from detectors import GridDetector, read_grid

import explainers
from explainers.targets import Box, detections


def likeness(one, other) -> float:
    """IoU · cosine of class probabilities · objectness, of (corners, probabilities, objectness); of `one` not the last."""
    (a, p, _), (b, q, present) = one, other
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(each[2] - each[0]) * (each[3] - each[1]) for each in (a, b)]
    dot = sum(x * y for x, y in zip(p, q, strict=True))
    cosine = dot / math.sqrt(sum(x * x for x in p) * sum(y * y for y in q))
    return shared / (sum(areas) - shared) * cosine * present


@pytest.mark.parametrize("design", ["paper", "balanced"])
def test_the_map_is_the_mean_of_the_masks_weighed_by_the_likeness_of_the_best_detection(design):
    torch.manual_seed(0)
    network, seen = GridDetector().eval(), []
    image = torch.rand(1, 3, 32, 48) * 0.3 + 0.1  # nothing is 0, so that its masks can be read off what is passed
    image[:, :, 9:17, 20:30] = 1
    (found,) = detections(network, image, output=read_grid)
    method = explainers.RISE(network, masks=16, grid=3, design=design, output=read_grid)
    with network.register_forward_pre_hook(lambda _, given: seen.append(given[0].clone())):
        map_ = method(image, Box.of(found, 0))[0]

    passed = [mask for batch in seen for mask in batch / image]
    same = [each[0] for each in passed if torch.allclose(each[0], each[1]) and torch.allclose(each[0], each[2])]
    masks = same[-16:]  # before them the image as it is, and what the network is probed with
    assert len(masks) == 16
    own = (found.boxes[0].tolist(), found.probabilities[0].tolist(), None)
    expected = torch.zeros(32, 48)
    for mask in masks:
        with torch.no_grad():
            (each,) = read_grid(network(image * mask))
        rows = zip(each.boxes.tolist(), each.probabilities.tolist(), each.objectness.tolist(), strict=True)
        expected += max(likeness(own, row) for row in rows) * mask
    torch.testing.assert_close(map_, expected / (16 * 0.5), atol=1e-5, rtol=1e-4)
