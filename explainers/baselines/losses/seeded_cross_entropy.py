"""Partial cross entropy: a map learns at the pixels whose side is known."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from explainers.baselines.losses.seeds import IGNORED
from explainers.errors import MapError


def partial_cross_entropy(logits: Tensor, seeds: Tensor) -> Tensor:
    """Softmax cross entropy, the mean over all seed pixels of the batch.

    An image without seeds adds nothing; of a batch without any the loss is 0 with a gradient of 0, not NaN.

    Args:
        logits: (N, 2, H, W), background and foreground.
        seeds: (N, H, W) int64, as `draw_seeds` makes them.

    Returns:
        A scalar with its graph.

    Raises:
        MapError: shapes that do not fit.

    Source: Belharbi et al. 2022 (F-CAM).
    """
    if logits.ndim != 4 or logits.shape[1] != 2 or seeds.shape != (len(logits), *logits.shape[2:]):
        raise MapError(f"logits {tuple(logits.shape)}, seeds {tuple(seeds.shape)}; expected (N, 2, H, W) and (N, H, W)")
    total = F.cross_entropy(logits, seeds, ignore_index=IGNORED, reduction="sum")
    return total / (seeds != IGNORED).sum().clamp(min=1)
