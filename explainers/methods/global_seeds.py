"""The global generators of torch and NumPy under a seed, for packages that draw from nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from explainers.network.guard import GLOBAL_SWITCHES


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """captum draws from the global generators: one thread at a time, and they are put back afterwards."""
    import numpy as np

    with GLOBAL_SWITCHES, torch.random.fork_rng():
        state = np.random.get_state()
        torch.manual_seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(state)
