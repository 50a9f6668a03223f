"""What several maps of one image say together: where they agree, and how much they do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from explainers.core.maps import CONSTANT, is_constant
from explainers.evaluation.metrics.similarity import average_ranks

MEAN, SPREAD = "mean of methods", "disagreement"
MEAN_LIMITS, SPREAD_LIMITS = (0.5, 1.0), (0.0, 0.5)  # half of all pixels lie below 0.5; no spread is above 0.5


@dataclass(frozen=True)
class Consensus:
    """Maps of one image together.

    mean, spread: (*axes) float32, see `consensus`; of: the names of the maps that count; without: name → why it does
    not.
    """

    mean: np.ndarray
    spread: np.ndarray
    of: tuple[str, ...]
    without: dict[str, str]


def consensus(maps: Mapping[str, np.ndarray | str], axes: int = 2) -> Consensus | None:
    """Mean and disagreement of maps, whatever their scales.

    The values of each map are replaced by their ranks, from 0 for its lowest pixel to 1 for its highest; equal values
    share the mean of their ranks. At each pixel, `mean` is the mean of the ranks over the maps, and `spread` their
    standard deviation (divided by the number of maps): 0 where all give the pixel the same rank, 0.5 where half of them
    have it first and half last. A map that is the same everywhere has no order, and is left out.

    Args:
        maps: name → (*axes), all of one shape, or (C, *axes), of which the largest magnitude over the channels counts;
            or why there is no map. axes: of a map.

    Returns:
        None where fewer than two maps have an order.
    """
    without: dict[str, str] = {}
    ranks: dict[str, np.ndarray] = {}
    for name, map_ in maps.items():
        if isinstance(map_, str):
            without[name] = map_
            continue
        values = torch.from_numpy(np.ascontiguousarray(np.abs(map_).max(axis=0) if map_.ndim > axes else map_))
        if not bool(values.isfinite().all()):
            without[name] = "not finite"
        elif is_constant(values):
            without[name] = CONSTANT
        else:
            order = (average_ranks(values.reshape(1, -1)) - 1) / (values.numel() - 1)
            ranks[name] = order.reshape(values.shape).numpy()
    if len(ranks) < 2:
        return None
    together = np.stack(list(ranks.values()))
    mean, spread = together.mean(axis=0), together.std(axis=0)
    return Consensus(mean.astype(np.float32), spread.astype(np.float32), tuple(ranks), without)


def captions(found: Consensus) -> tuple[str, str]:
    """What stands above the mean and above the disagreement: of how many maps, and which ones are left out."""
    without = "".join(f"\nwithout {name} ({reason})" for name, reason in found.without.items())
    return f"{MEAN}\nranks of {len(found.of)} maps{without}", f"{SPREAD}\nspread of the same ranks"
