"""The global generators of torch, NumPy and Python under a seed, for packages that draw from nothing else."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from explainers.network.guard import GLOBAL_SWITCHES


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """captum draws from the global generators: one thread at a time, and they are put back afterwards.

    It draws in torch's default type, which changes the draws, so that they are float32's whatever the default is.
    """
    import numpy as np

    with GLOBAL_SWITCHES, torch.random.fork_rng():
        state, drawn, default = np.random.get_state(), random.getstate(), torch.get_default_dtype()
        torch.set_default_dtype(torch.float32)
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)  # scikit-learn draws when it is imported
        try:
            yield
        finally:
            torch.set_default_dtype(default)
            np.random.set_state(state)
            random.setstate(drawn)
