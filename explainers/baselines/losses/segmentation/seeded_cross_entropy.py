"""Partial cross entropy: a map learns at the pixels whose side is known."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from explainers.baselines.losses.loss import Beginning, Loss, Step
from explainers.baselines.losses.option_checks import not_negative
from explainers.baselines.losses.registry import register_loss
from explainers.baselines.losses.segmentation.seeds import IGNORED, check_seeding, draw_seeds
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


@register_loss("seeded-cross-entropy")
@dataclass(frozen=True)
class SeededCrossEntropy(Loss):
    """The partial cross entropy of the map's logits at seeds of the true class's activation map, drawn in each step.

    Args:
        weight: of the term.
        erosion, background_share: see `draw_seeds`; the erosion is in pixels of the map, 11 for 224 × 224.

    Source: Belharbi et al. 2022 (F-CAM) and code.
    """

    weight: float = 1.0
    erosion: int = 11
    background_share: float = 0.1
    judged_by_batch = True
    name = "seeded-cross-entropy"

    def __post_init__(self) -> None:
        not_negative(weight=self.weight)
        check_seeding(self.erosion, self.background_share)

    def companion(self, beginning: Beginning) -> None:
        """Nothing is kept."""
        for part in ("map_logits", "cams"):
            beginning.made.part(part)

    def __call__(self, step: Step) -> Tensor:
        """The activation maps teach and do not learn."""
        logits, cams = step.made.part("map_logits").float(), step.made.part("cams").detach().float()
        true = step.labels[:, None, None, None].expand(-1, 1, *cams.shape[2:])
        cams = F.interpolate(cams.gather(1, true), size=logits.shape[2:], mode="bilinear", align_corners=False)
        seeds = draw_seeds(cams[:, 0], step.rng, erosion=self.erosion, background_share=self.background_share)
        return partial_cross_entropy(logits, seeds)
