"""Maps from outside for training images: masks of a data set, or maps that a person has edited."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from explainers.baselines.losses.loss import Given
from explainers.errors import DataError

Provider = Callable[[int], "np.ndarray | Tensor | None"]  # index of a training image to (H, W) in 0 … 1 over the input


class GivenMaps:
    """All of one kind, read once and kept in 256 steps, as gray files have them.

    Args:
        kind: "mask" or "edited", for errors; provider: gives an image's map over the network's input, or None.
        count: how many training images; size: (H, W) of the input; names: of the images, for errors.

    Raises:
        DataError: no image has one, or one is of another size or outside 0 … 1.
    """

    def __init__(self, kind: str, provider: Provider, names: Sequence[str], size: tuple[int, int]) -> None:
        self._rows: dict[int, Tensor] = {}
        self._size = size
        for index, name in enumerate(names):
            values = provider(index)
            if values is None:
                continue
            field = torch.as_tensor(np.asarray(values)).float()
            if field.shape != size:
                raise DataError(f"the {kind} map of {name} is {tuple(field.shape)}; expected {size}, as the input")
            if not (float(field.min()) >= 0 and float(field.max()) <= 1):
                raise DataError(f"the {kind} map of {name} has values outside 0 … 1")
            self._rows[index] = (field * 255).round().to(torch.uint8)
        if not self._rows:
            raise DataError(f"no training image has a map of the kind {kind!r}; leave the losses out that need them")

    def __len__(self) -> int:
        """How many images have one."""
        return len(self._rows)

    def of(self, indices: Sequence[int]) -> Given:
        """Those of a batch; where there is none, zeros that are not known."""
        known = torch.tensor([index in self._rows for index in indices], dtype=torch.bool)
        maps = torch.zeros(len(indices), 1, *self._size)
        for row, index in enumerate(indices):
            if index in self._rows:
                maps[row, 0] = self._rows[index].float() / 255
        return Given(maps, known)
