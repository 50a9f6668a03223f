"""Images as they come to an evaluation, with what came along; seen by the network they become a `Chunk`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from explainers.core.targets import of_rows
from explainers.network.inputs import Inputs
from explainers.targets import Settled, Target, holds_targets


@dataclass(frozen=True)
class Batch:
    """Images of one size with what came with them.

    names: how rows call them; images: (N, C, *axes); targets: (N,) where they differ from image to image, target
    objects as for explainers; labels: (N,) classes that are right; masks: (N, *axes) bool; keys: of the images'
    contents; inputs: of a network of several inputs, what the images come with.
    """

    names: tuple[str, ...]
    images: Tensor
    targets: Any = None
    labels: Tensor | None = None
    masks: Tensor | None = None
    keys: tuple[str, ...] = ()
    inputs: Inputs | None = None

    @cached_property
    def digest(self) -> str:
        """Names the batch by everything in it that decides its values."""
        targets = _text(self.targets)
        parts = [*self.names, *(self.keys or self.names), targets]
        for values in (self.labels, self.masks):
            parts.append("" if values is None else hashlib.sha256(values.cpu().numpy().tobytes()).hexdigest())
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()

    def _targets(self, rows: Sequence[int]) -> Any:
        return of_rows(self.targets, rows, len(self.names)) if holds_targets(self.targets) else self.targets

    def select(self, rows: Sequence[int]) -> Batch:
        """Some of the images, with what came with them."""
        picked = torch.tensor(rows, dtype=torch.int64, device="cpu")

        def of(value: Tensor | None) -> Tensor | None:
            return None if value is None else value[picked.to(value.device)]

        images = of(self.images)
        assert images is not None
        return Batch(
            tuple(self.names[row] for row in rows),
            images,
            of(self.targets) if isinstance(self.targets, Tensor) else self._targets(rows),
            of(self.labels),
            of(self.masks),
            tuple(self.keys[row] for row in rows) if self.keys else (),
            None if self.inputs is None else self.inputs[rows],
        )


def _text(targets: Any) -> str:
    """Targets as text that does not change from process to process."""
    if isinstance(targets, Tensor):
        return repr(targets.tolist())
    if isinstance(targets, Target):
        return targets.key
    if isinstance(targets, Settled):
        return _text(targets.rows)
    if isinstance(targets, (list, tuple)) and holds_targets(targets):
        return f"[{', '.join(map(_text, targets))}]"
    return str(getattr(targets, "__qualname__", repr(targets)))  # a function's repr has its address
