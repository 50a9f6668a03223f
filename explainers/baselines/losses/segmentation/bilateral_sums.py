"""Sums over all pairs of pixels, weighed by how near two pixels are and how alike their colours, without the matrix."""

from __future__ import annotations

import math

import torch
from torch import Tensor

BLOCK = {"cpu": 2**19}  # weights held at once, so that they stay in the cache
BLOCK_ELSEWHERE = 2**26
GROUP = 8  # images at a time
# Weights are powers of 2, which are faster than those of e. Exponents below this one are taken for it: such a weight is
# lost beside a pixel's own, which is 1, and numbers too small for the format would take ten times as long.
LEAST = -115.0


def bilateral_sums(values: Tensor, colours: Tensor, places: Tensor, sigmas: tuple[float, float]) -> Tensor:
    """Σ_j W_ij v_j with W_ij = exp(−‖c_i − c_j‖² / 2σ_rgb² − ‖p_i − p_j‖² / 2σ_xy²), for every i, j = i included.

    Args:
        values: (N, K, M); colours: (N, M, C); places: (M, D), the same for all images, all of one floating type.
        sigmas: (σ_rgb, σ_xy), in the units of colours and places.

    Returns:
        (N, K, M). Squared distances of whole numbers are exact in float32, as long as they are below 2²⁴.

    Cost: half of N · M² weights; memory for some rows of a few images' matrices.
    """
    sums = torch.zeros_like(values)
    of_rgb, of_xy = (0.5 * math.log2(math.e) / sigma**2 for sigma in sigmas)
    left, right, near, far = *_factors(colours), *_factors(places)
    points = places.shape[0]
    rows = max(1, BLOCK.get(values.device.type, BLOCK_ELSEWHERE) // (points * min(GROUP, len(values))))
    for start in range(0, points, rows):  # weights are symmetric: columns from the diagonal on are enough
        stop = min(start + rows, points)
        apart = of_xy * (near[start:stop] @ far[:, start:])
        for first in range(0, len(values), GROUP):
            part = slice(first, first + GROUP)
            alike = torch.bmm(left[part, start:stop], right[part, :, start:])  # scaled later, or it would not be exact
            weights = alike.mul_(of_rgb).add_(apart).clamp_(min=LEAST).exp2_()
            sums[part, :, start:stop] += values[part, :, start:] @ weights.mT
            if stop < points:
                sums[part, :, stop:] += values[part, :, start:stop] @ weights[:, :, stop - start :]
    return sums


def _factors(points: Tensor) -> tuple[Tensor, Tensor]:
    """Two matrices (…, M, C + 2) and (…, C + 2, M) whose product is −‖a − b‖² = 2ab − a² − b²."""
    ones, squares = torch.ones_like(points[..., :1]), points.square().sum(-1, keepdim=True)
    left = torch.cat([2 * points, -squares, -ones], -1)
    return left, torch.cat([points, ones, squares], -1).mT.contiguous()
