"""A network that is loaded: what it says of images and its maps, classes in the order of the reference's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from explainers.core.image_by_image import Failure, in_parts
from explainers.errors import TargetError
from explainers.evaluation.chunk_maps import ChunkMaps
from explainers.evaluation.drifting.finished_units import Row
from explainers.evaluation.drifting.methods import Method
from explainers.evaluation.drifting.networks import Checkpoint, checked_weights, class_order, last_layer, network_of
from explainers.evaluation.drifting.options import DriftOptions
from explainers.evaluation.drifting.scores import said
from explainers.evaluation.measuring.batch import Batch
from explainers.evaluation.measuring.chunk import Chunk
from explainers.passes.activation import Reading, reading_of
from explainers.passes.one_score import Remarks
from explainers.passes.predictor import Predictor

SAID = ("entropy", "probability", "loss", "predicted", "largest")


@dataclass(frozen=True)
class Classes:
    """The reference's: how many scores it gives, their names where they are known, how they are read, and for which
    class of networks that holds too: an early checkpoint's scores can look like probabilities."""

    count: int
    names: Sequence[str] | None = None
    reading: Reading | None = None
    kind: type | None = None


class Opened:
    """A checkpoint that has been loaded.

    Args:
        reference: its classes; None: this is the reference.

    Raises:
        OutputError: weights that are no numbers. TargetError: other classes. Whatever its loading raises.
    """

    def __init__(self, checkpoint: Checkpoint, options: DriftOptions, reference: Classes | None = None) -> None:
        self.model = checkpoint.load()
        self.network = network_of(self.model)
        checked_weights(self.network)
        self.options, self.expected = options, reference
        self.order = None
        if reference is not None:
            self.order = class_order(checkpoint.classes, self.model, reference.names, reference.count)
        self.layer = last_layer(self.network)
        self.predictor = Predictor(self.model, output=options.output)
        self.count = 0 if reference is None else reference.count
        alike = reference is not None and reference.kind is type(self.network)
        self.reading = reference.reading if reference is not None and alike else None
        self.bound: dict[tuple[str, int], Any] = {}
        self.proven: set[str] = set()

    def said(self, batch: Batch) -> Row:
        """Plain values of what the network says of a batch, None for images that it has no scores of."""
        found: dict[str, list[Any]] = {name: [None] * len(batch.names) for name in SAID}
        reasons: dict[str, str] = {}
        for rows, made in in_parts(range(len(batch.names)), lambda rows: self._said(batch.select(rows))):
            if isinstance(made, Failure):
                reasons[str(rows[0])] = made.reason
                continue
            for name in SAID:
                for row, value in zip(rows, made[name], strict=True):
                    found[name][row] = None if value != value else value
        layer = {} if self.layer is None else {"layer": self.layer.name, "norm": self.layer.norm}
        return {"classes": self.count, **layer, **found, "failed": reasons}

    def settle(self, batch: Batch) -> None:
        """Find out how scores are read, by the images that come first."""
        for _, made in in_parts(range(len(batch.names)), lambda rows: self._said(batch.select(rows))):
            if not isinstance(made, Failure):
                return

    def _said(self, batch: Batch) -> dict[str, list[Any]]:
        scores = self.predictor(batch.images)
        if self.expected is not None and scores.shape[1] != self.expected.count:
            raise TargetError(
                f"it gives {scores.shape[1]} scores for an image, the reference {self.expected.count}: it has other "
                "classes"
            )
        self.count = scores.shape[1]
        if self.reading is None:
            self.reading = reading_of(self.model, batch.images, scores, self.options.activation, self.options.output)
            if self.expected is None:  # the reference alone: others are read as it is, or as much alike
                Remarks()(self.reading, scores)
        if self.order is not None:
            scores = scores[:, torch.tensor(self.order, device=scores.device)]
        made = said(scores, batch.labels, self.reading)
        return {name: getattr(made, name).tolist() for name in SAID}

    def maps(self, method: Method, seed: int, batch: Batch, targets: Tensor) -> Tensor:
        """(n, H, W) float32 maps on the CPU, NaN where there is none.

        Args:
            targets: (n,) classes in the reference's order.

        Raises:
            UnsupportedError, LayerError: the method cannot be right on this network. MapError: maps of another size.
        """
        if (method.title, seed) not in self.bound:
            self.bound[method.title, seed] = method.bound(self.model, seed)
        if self.order is not None:
            targets = torch.tensor(self.order, device=targets.device)[targets]
        if self.count == 1:  # the one score is explained, whichever of the two classes is right
            targets = torch.zeros_like(targets)
        targets = targets.to(batch.images.device)
        nothing = torch.zeros(len(targets), dtype=torch.float64, device="cpu")
        chunk = Chunk(batch.names, batch.images, targets, targets, nothing, nothing.bool())
        made = ChunkMaps(chunk, {method.title: self.bound[method.title, seed]}, self.proven).of(method.title)
        maps = made.maps.cpu().clone()
        for row in made.failed:
            maps[row] = torch.nan
        return maps


def identity_of(checkpoint: Checkpoint, opened: Opened | None, name: str) -> str:
    """What tells a network from others: its file, else its weights where its loading has hashed them, else its name."""
    return str(checkpoint.identity or getattr(getattr(opened, "model", None), "sha256", "") or name)
