"""A network whose curves are known: it counts the pixels that are there, and looks up what was laid down for them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

SIDE = 64
STEPS = SIDE**2


class LookedUp(nn.Module):
    """(N, 1, SIDE, SIDE) of curve number i, its pixels i + 1 or 0 → (N, 2) log odds of curve i after so many are gone.

    curves: (I, STEPS + 1) probabilities; the last, with nothing left to tell the curve by, has to be the same for all.
    """

    def __init__(self, curves: np.ndarray) -> None:
        super().__init__()
        assert np.ptp(curves[:, -1]) == 0
        self.odds = torch.from_numpy(np.log(curves) - np.log1p(-curves)).float()

    def forward(self, images: Tensor) -> Tensor:
        flat = images.flatten(1)
        gone = (flat == 0).sum(dim=1)
        number = (flat.amax(dim=1).round().long() - 1).clamp(0, len(self.odds) - 1)
        return torch.stack([self.odds[number, gone], torch.zeros(len(flat))], dim=1)

    def images(self) -> Tensor:
        """(I, 1, SIDE, SIDE)"""
        return torch.arange(1.0, len(self.odds) + 1)[:, None, None, None].expand(-1, 1, SIDE, SIDE).contiguous()


def smooth_curves(count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, STEPS + 1) falling from somewhere in 0.5 … 1 to 0, sooner or later, slowly or at once."""
    shares = np.linspace(0, 1, STEPS + 1)
    middle, steep, top = (rng.uniform(*ends, size=(count, 1)) for ends in ((0.05, 0.6), (5, 40), (0.5, 1)))
    return _ended(top / (1 + np.exp((shares - middle) * steep)))


def with_boxes(curves: np.ndarray, width: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The curves with a stretch of this share of the way, anywhere, at 1; and where it is (count, STEPS + 1) bool."""
    place = np.arange(STEPS + 1)[None] / STEPS - rng.uniform(0, 1 - width, size=(len(curves), 1))
    boxes = (place >= 0) & (place < width)
    return _ended(np.where(boxes, 1.0, curves)), boxes


def _ended(curves: np.ndarray) -> np.ndarray:
    curves = curves.clip(1e-6, 1 - 1e-6)
    curves[:, -1] = 1e-6
    return curves
