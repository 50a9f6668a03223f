"""Whether a map depends on what the network has learnt: its likeness to that of the network with redrawn weights."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from explainers.core.maps import as_tensor
from explainers.errors import ExplainersError, OptionError, UnsupportedError
from explainers.evaluation.measuring.curves import Curve
from explainers.evaluation.measuring.subject import Measured, Measuring, Subject
from explainers.evaluation.metric import Metric, register_metric
from explainers.evaluation.metrics.similarity import SIMILARITIES
from explainers.network.guard import all_others_waiting

ORDERS = ("cascading", "independent")
STAGES = 5


@register_metric
class ModelRandomisation(Metric):
    """Likeness of a map to that of the network with redrawn weights: near 0 where the map explains the network.

    Cascading: from the output down, until all layers are redrawn. Independent: one layer at a time. The value is the
    mean over the stages; the curve has each, by the share of the layers. A map that becomes constant has likeness 0.

    Args:
        order: "cascading" or "independent".
        similarity: "spearman", "pearson", "ssim" or "top-k".
        stages: how many steps the cascade takes, or how many layers are tried alone, evenly over the depth; None: all.
        absolute: compare magnitudes, so that a map with its signs turned counts as the same.

    Cost: a map per stage.

    Source: Adebayo et al. 2018. The weights of the network itself are redrawn and put back, so that explainers of other
    packages and plain functions are tested too; each layer has its own seed.
    """

    name = "model-randomisation"
    better = "lower"
    reference = "Adebayo et al. 2018"
    within = (-1.0, 1.0)
    needs = frozenset({"explainer", "network"})
    across = "share of layers drawn anew"
    heights = "likeness of the map"

    def __init__(
        self,
        *,
        order: str = "cascading",
        similarity: str = "spearman",
        stages: int | None = STAGES,
        absolute: bool = True,
    ) -> None:
        if order not in ORDERS:
            raise OptionError(f"order={order!r}; expected {' or '.join(ORDERS)}")
        if similarity not in SIMILARITIES:
            raise OptionError(f"similarity={similarity!r}; expected {', '.join(SIMILARITIES)}")
        if stages is not None and stages < 1:
            raise OptionError(f"stages={stages!r}; expected at least 1, or None for every layer")
        self.order, self.similarity, self.stages, self.absolute = order, similarity, stages, absolute

    def settings(self) -> dict[str, Any]:
        """All of them."""
        return {
            "order": self.order,
            "similarity": self.similarity,
            "stages": self.stages or "all",
            "absolute": self.absolute,
        }

    def measure(self, subject: Subject) -> Measuring:
        """A map per stage; the network is put back after each."""
        yield []
        if not isinstance(subject.network, nn.Module):
            raise UnsupportedError("model-randomisation redraws weights, which a black box does not show; leave it out")
        layers = weighted_layers(subject.network)[::-1]
        ends = np.unique(np.round(np.linspace(0, len(layers), (self.stages or len(layers)) + 1)).astype(int))[1:]
        found: list[Tensor] = []
        notes: list[str] = []
        for end in ends.tolist():
            redrawn = layers[:end] if self.order == "cascading" else layers[end - 1 : end]
            likeness, note = self._likeness(subject, redrawn)
            found.append(likeness)
            notes += [note] if note else []
        values = torch.stack(found, dim=1).cpu().numpy()
        shares = np.concatenate([[0], ends / len(layers)])
        results = []
        for each in values:
            curve = Curve(shares, np.concatenate([[1.0], each]))
            results.append(Measured(float(each.mean()), curve, details={"note": notes[0]} if notes else {}))
        return results

    def _likeness(self, subject: Subject, layers: Sequence[str]) -> tuple[Tensor, str]:
        """(N,) values, NaN where the explainer refuses the redrawn network, and why it does."""
        assert subject.explain is not None
        chunk = subject.chunk
        with redrawn(subject.network, layers, chunk.seed):
            try:
                made = as_tensor(subject.explain(chunk.images, chunk.targets)).to(subject.maps)
            except ExplainersError as error:
                nowhere = torch.full((len(chunk),), torch.nan, dtype=torch.float64, device=subject.maps.device)
                return nowhere, f"with redrawn weights, down to {layers[-1]}: {error}"
        first, second = (each.abs() if self.absolute else each for each in (subject.maps, made.nan_to_num()))
        values = SIMILARITIES[self.similarity](first, second)
        faded = second.flatten(1).amax(dim=1) == second.flatten(1).amin(dim=1)
        plain = first.flatten(1).amax(dim=1) == first.flatten(1).amin(dim=1)
        return torch.where(faded & ~plain, 0.0, values), ""


def weighted_layers(network: nn.Module) -> list[str]:
    """Names of the modules that have parameters of their own, in the order of their registration."""
    return [name for name, module in network.named_modules() if any(True for _ in module.parameters(recurse=False))]


@contextmanager
def redrawn(network: nn.Module, layers: Sequence[str], seed: int) -> Iterator[None]:
    """These layers with new weights inside; afterwards all values are what they were, to the last bit.

    A layer that knows how to initialise itself does so; the parameters of others are drawn with their own mean and
    spread. Explainers of other threads wait; whoever passes images through the network without one meets the new
    weights.
    """
    with all_others_waiting(), _redrawn(network, layers, seed):
        yield


@contextmanager
def _redrawn(network: nn.Module, layers: Sequence[str], seed: int) -> Iterator[None]:
    modules = dict(network.named_modules())
    values = [*network.parameters(), *network.buffers()]
    kept = [value.detach().clone() for value in values]
    devices = [value.device for value in values if value.device.type == "cuda"][:1]
    try:
        with torch.random.fork_rng(devices=devices), torch.no_grad():
            for name in layers:
                # A seed per layer, so that a layer is redrawn to the same values whatever else is.
                torch.manual_seed(int(hashlib.sha256(f"{seed} {name}".encode()).hexdigest()[:8], 16))
                _redraw(modules[name])
        yield
    finally:
        with torch.no_grad():
            for value, copy in zip(values, kept, strict=True):
                value.copy_(copy)


def _redraw(module: nn.Module) -> None:
    own = list(module.parameters(recurse=False))
    before = [value.clone() for value in own]
    reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
    if callable(reset):
        reset()
        return
    for value, old in zip(own, before, strict=True):
        if value.is_floating_point():
            spread = float(old.std(correction=0)) if old.numel() > 1 else abs(float(old))
            value.normal_(float(old.mean()), spread or 1.0)
