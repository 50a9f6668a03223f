"""Maps from outside beside the network's own: of one size, and only where there are some."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from explainers.baselines.losses.loss import Step
from explainers.errors import TrainingError


def brought_and_own(step: Step, kind: str) -> tuple[Tensor, Tensor]:
    """For each image that has a map of a kind, this map averaged over the areas of the network's cells, and its own.

    Returns:
        Two of (M, 1, h, w), M from 0 to N, the second with its graph.

    Raises:
        TrainingError: the network makes no map, or the step brings none of the kind.
    """
    own = step.made.attention_map
    if own is None:
        raise TrainingError("this network makes no attention map, so there is no loss on it; leave it out")
    if kind not in step.given:
        raise TrainingError(f"this step brings no maps of the kind {kind!r}, but {', '.join(step.given) or 'none'}")
    brought = step.given[kind]
    known = brought.known.to(own.device)
    maps = F.interpolate(brought.maps.to(own.device).float(), size=own.shape[2:], mode="area")
    return maps[known], own.float()[known]
