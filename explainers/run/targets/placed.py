"""A mask, heat map or box of a photo or volume, laid over what the network sees of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from explainers.core.preprocessing import AnyPreprocessing, ArrayPreprocessing, photographic
from explainers.errors import MapError
from explainers.storage.paths import shown

Corners = tuple[float, float, float, float]


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


def seen_size(preprocessing: AnyPreprocessing, axes: Sequence[int]) -> tuple[int, ...]:
    """How long the axes of the network's input are, where those of the photo or recording are so long."""
    if isinstance(preprocessing, ArrayPreprocessing):
        return preprocessing.size or tuple(axes)
    height, width = axes
    return preprocessing.crop or preprocessing.resized_size(height, width)


def _sides(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))


def box_in_photo(
    box: Sequence[float], size: Sequence[int], photo: Sequence[int], preprocessing: AnyPreprocessing
) -> Corners:
    """A box (x0, y0, x1, y1) of the network's input, of (h, w), in pixels of the photo, of (height, width)."""
    top, left, bottom, right = photographic(preprocessing).box(*photo)
    down, across = (bottom - top) / size[0], (right - left) / size[1]
    x0, y0, x1, y1 = box
    return left + x0 * across, top + y0 * down, left + x1 * across, top + y1 * down


def box_in_input(box: Sequence[float], photo: Sequence[int], preprocessing: AnyPreprocessing) -> Corners:
    """A box (x0, y0, x1, y1) in pixels of the photo, of (height, width), as it lies in the network's input, cut to it;
    without area where the network sees nothing of it."""
    known = photographic(preprocessing)
    top, left, bottom, right = known.box(*photo)
    h, w = known.crop or known.resized_size(*photo)
    across, down = w / (right - left), h / (bottom - top)
    x0, y0, x1, y1 = box
    return (
        max((x0 - left) * across, 0.0),
        max((y0 - top) * down, 0.0),
        min((x1 - left) * across, float(w)),
        min((y1 - top) * down, float(h)),
    )
