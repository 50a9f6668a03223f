"""Arrays of NumPy as volumes and signals."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from explainers.data.images.arrays import read_values
from explainers.data.recordings.recording import Recording
from explainers.errors import ImageError, MapError

KEY = "values"  # of a .npz file with several arrays


def read_numpy(path: Path, most: int) -> Recording:
    """(L,) or (C, L) as a signal; (D, H, W) or (C, D, H, W) as a volume.

    Raises:
        ImageError: damaged, not numbers, another number of axes, or more than `most` values by its header.
    """
    try:
        values = read_values(path, KEY, most, axes=(1, 2, 3, 4))
    except MapError as error:
        raise ImageError(str(error)) from error
    values = np.ascontiguousarray(values, np.float32)
    return Recording(values[None] if values.ndim in (1, 3) else values)
