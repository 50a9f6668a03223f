"""Perturbation metrics again, one image and one step at a time, in plain loops."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor


def probability(network, image: Tensor, target: int) -> float:
    with torch.no_grad():
        return float(network(image[None]).softmax(1)[0, target])


def order(map_: Tensor, patch: int = 1) -> list[list[tuple[int, int]]]:
    """Patches, each a list of its pixels, by their largest value; the earlier of equals first."""
    height, width = map_.shape
    patches = []
    for top in range(0, height, patch):
        for left in range(0, width, patch):
            patches.append(
                [(y, x) for y in range(top, min(top + patch, height)) for x in range(left, min(left + patch, width))]
            )
    return sorted(patches, key=lambda pixels: -max(float(map_[y, x]) for y, x in pixels))


def curve(network, start: Tensor, end: Tensor, map_: Tensor, target: int, patch: int = 1) -> np.ndarray:
    """f after each patch that went from start to end."""
    image, values = start.clone(), [probability(network, start, target)]
    for pixels in order(map_, patch):
        for y, x in pixels:
            image[:, y, x] = end[:, y, x]
        values.append(probability(network, image, target))
    return np.array(values)


def trapezoid(values: np.ndarray) -> float:
    return sum((a + b) / 2 for a, b in pairwise(values.tolist())) / (len(values) - 1)


def predicted(network, image: Tensor) -> int:
    with torch.no_grad():
        return int(network(image[None]).argmax())
