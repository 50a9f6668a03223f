"""Networks, images and maps that curves are measured on."""

from __future__ import annotations

import torch
from small import Chain, Residual, Tokens, lively

from explainers import create_metric

SIZES = {"chain": (7, 9), "residual": (10, 6), "tokens": (8, 8)}

ALL = 10_000  # more steps than any of these images has pixels


def case(name):
    network = lively({"chain": Chain, "residual": Residual, "tokens": Tokens}[name]()).double()
    images = torch.randn(3, 3, *SIZES[name], dtype=torch.float64)
    maps = torch.randn(3, *SIZES[name])
    maps[1] = maps[1].round().clamp(min=0)  # ties
    maps[2] = 0  # nothing but ties
    return network, images, maps, [2, 0, 3]


def value(name, network, images, maps, targets, *, activation="softmax", masks=None, **options):
    return create_metric(name, **options)(network, images, maps, targets, activation=activation, masks=masks)
