"""Passes of a network in training that leave no trace in what its batch norm counts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def still(network: nn.Module) -> Iterator[None]:
    """Batch norm goes on normalising by the batch, but a pass inside leaves no trace in its running statistics."""
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
    tracking = [norm.track_running_stats for norm in norms]
    try:
        for norm in norms:
            norm.track_running_stats = False
        yield
    finally:
        for norm, track in zip(norms, tracking, strict=True):
            norm.track_running_stats = track
