"""Arrays of NumPy as volumes and signals."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from explainers.data.images.arrays import read_values
from explainers.data.recordings.recording import Recording
from explainers.errors import ImageError, MapError


def read_numpy(path: Path, most: int, key: str = "values") -> Recording:
    """(L,) or (C, L) as a signal; (D, H, W) or (C, D, H, W) as a volume.

    Raises:
        ImageError: damaged, not numbers, another number of axes, or more than `most` values by its header.
    """
    try:
        values = read_values(path, key, most, axes=(1, 2, 3, 4))
    except MapError as error:
        raise ImageError(str(error)) from error
    values = np.ascontiguousarray(values, np.float32)
    values = values[None] if values.ndim in (1, 3) else values
    return Recording(values, axis_names=("axis 0", "axis 1", "axis 2") if values.ndim == 4 else ("sample",))
