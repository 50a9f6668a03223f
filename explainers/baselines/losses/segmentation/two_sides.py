"""An attention map as the probabilities of object and background."""

from __future__ import annotations

import torch
from torch import Tensor

from explainers.baselines.losses.loss import Step
from explainers.errors import TrainingError


def two_sides(step: Step) -> Tensor:
    """(N, 2, h, w): 1 − A and A of the step's pass, with their graph.

    Raises:
        TrainingError: the network makes no map.
    """
    own = step.made.attention_map
    if own is None:
        raise TrainingError("this network makes no attention map, so there is no loss on it; leave it out")
    own = own.float()
    return torch.cat([1 - own, own], 1)
