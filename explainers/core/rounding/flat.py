"""Whether a score is the same for an image and for another one, up to what rounding may be."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from explainers.network.guard import GLOBAL_SWITCHES, exact
from explainers.network.input import another, full_batches, run
from explainers.network.output import Output

SLACK, NONE = 1000, 8  # of a precision's last digit: what may be rounding still, and what nobody can tell from it
DIGIT = 1e-5  # of half precision, whose own would leave all networks in doubt
Scored = Callable[[Any, int], Tensor]  # (what the network returned, how many images) → scores (N, classes)
Found = dict[tuple[int, ...], Tensor]  # by the shape of an image

_of_networks: weakref.WeakKeyDictionary[Any, Found] = weakref.WeakKeyDictionary()


class Flatness:
    """Remembers how far the scores of a network move, for one kind of output; of the usual output for all explainers.

    Cost: a pass of two images, once for a network and a size.
    """

    def __init__(self) -> None:
        self.found: Found = {}

    def moves(self, network: Any, images: Tensor, output: Output | None, scored: Scored) -> Tensor:
        """(classes,) how far each score moves, in last digits of the largest; one infinity where it cannot be told.

        Args:
            images: (N, C, *axes), of which the first is looked at; scored: picks the scores.
        """
        found, shape = self._table(network, output), tuple(images.shape[1:])
        if shape not in found:
            found[shape] = _moves(network, images[:1], scored)
        return found[shape]

    def _table(self, network: Any, output: Output | None) -> Found:
        if output is None:
            try:
                return _of_networks.setdefault(network, {})
            except TypeError:  # no weak key
                pass
        return self.found


def _moves(network: Any, image: Tensor, scored: Scored) -> Tensor:
    unknown = torch.full((1,), float("inf"), dtype=torch.float64, device="cpu")
    pair = torch.cat([image, another(image)])
    devices = [image.device] if image.device.type == "cuda" else []
    with GLOBAL_SWITCHES, torch.random.fork_rng(devices), exact(image, gradients=False):
        try:
            parts = [scored(run(network, part), len(part)) for part in full_batches(network, pair)]
        except Exception:  # it does not take the other image, which says nothing of this one
            return unknown
    one, other = (parts[0][:1], parts[1][:1]) if len(parts) > 1 else parts[0][:2].split(1)
    if one.shape != other.shape:
        return unknown
    digit = min(torch.finfo(one.dtype).eps, DIGIT) * (float(one.abs().max()) + 1)
    return (one - other).abs()[0].double().cpu() / digit
