"""What all trainings of the tests share."""

from __future__ import annotations

import pytest
import torch
from ala_case import start

__all__ = ["start"]  # a fixture, which tests name and nobody imports


@pytest.fixture(autouse=True)
def one_thread():
    """Small tensors: handing them to threads costs more than the work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
