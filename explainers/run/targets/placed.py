"""A mask or a heat map of a photo or volume, laid over what the network sees of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from explainers.core.preprocessing import AnyPreprocessing
from explainers.errors import MapError
from explainers.storage.paths import shown


def placed(
    values: np.ndarray,
    photo: Sequence[int],
    size: Sequence[int],
    preprocessing: AnyPreprocessing,
    what: str,
    nearest: bool,
) -> Tensor:
    """A mask or map over the network's input (h, w): as it is where it has that size, cut like the photo where it has
    the photo's.

    Raises:
        MapError: it has another size.
    """
    if values.shape == tuple(photo):
        return preprocessing.fitted(values, nearest=nearest)
    if values.shape == tuple(size):
        return torch.from_numpy(values.astype(np.float32))
    raise MapError(
        f"{shown(what)} has {_sides(values.shape)} pixels; its photo has {_sides(photo)}, what the network sees of it "
        f"{_sides(size)}"
        if len(photo) == 2
        else f"{shown(what)} has {_sides(values.shape)} values; what it is of has {_sides(photo)}, the network's input "
        f"{_sides(size)}"
    )


def _sides(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))
