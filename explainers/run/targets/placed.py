"""A mask or a heat map of a photo, laid over what the network sees of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from explainers.core.preprocessing import Preprocessing
from explainers.errors import MapError
from explainers.storage.paths import shown


def placed(
    values: np.ndarray,
    photo: Sequence[int],
    size: Sequence[int],
    preprocessing: Preprocessing,
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
        f"{shown(what)} has {values.shape[0]} × {values.shape[1]} pixels; its photo has {photo[0]} × {photo[1]}, "
        f"what the network sees of it {size[0]} × {size[1]}"
    )
