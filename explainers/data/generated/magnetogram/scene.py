"""What an image shows, drawn anew until the strength of its inversion line is of the class that is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from explainers.data.generated.magnetogram.field import inversion_line, limited_field
from explainers.data.generated.magnetogram.sources import arranged_sources, network_sources, pole_groups

CLASSES = {2: ("no-flare", "flare"), 4: ("O", "C", "M", "X")}
REFERENCE = 96  # pixels a side of the grid on which the strength is measured, whatever the size of the image
THRESHOLDS = {2: (0.07,), 4: (0.07, 0.13, 0.185)}
MARGIN = 0.08  # no strength lies nearer to a threshold than this share of it
TRIES = 600  # of a scene; one is enough for two classes, about eight for one grade of flares


@dataclass(frozen=True)
class Scene:
    """What an image shows before a grid is laid over it.

    network, regions: (n, 4), round sources of field: x, y and width (standard deviation) in image widths, and peak in
    units of the field; noise: standard deviation of the instrument's, in units of the field.
    """

    network: Tensor
    regions: Tensor
    noise: float

    def field(self, size: int) -> Tensor:
        """(S, S) float32 without noise, positive towards the observer, within -1.4 … 1.4."""
        # Two soft limits: the network never counts as strong, and many spots at one place are no stronger than one.
        return limited_field(self.network, size, 0.2) + limited_field(self.regions, size, 1.2)


def drawn_scene(label: int, grades: int, rng: torch.Generator) -> tuple[Scene, Tensor, Tensor, float]:
    """The first scene drawn whose strength is of the class, with field and inversion line on the reference grid."""
    edges = (-math.inf, *THRESHOLDS[grades], math.inf)
    low, high = edges[label] * (1 + MARGIN), edges[label + 1] * (1 - MARGIN)
    network, noise = network_sources(rng), 0.015 + 0.02 * float(torch.rand((), generator=rng))
    quiet = limited_field(network, REFERENCE, 0.2)
    for attempt in range(TRIES):
        if attempt % 8 == 0:  # the same groups are arranged anew first, so that the class does not choose the groups
            groups = pole_groups(rng)
        regions = arranged_sources(groups, label > 0, rng)
        field = quiet + limited_field(regions, REFERENCE, 1.2)
        line, strength = inversion_line(field)
        if low < strength < high:
            return Scene(network, regions, noise), field, line, strength
    raise RuntimeError(f"no scene of class {CLASSES[grades][label]} in {TRIES} tries")
