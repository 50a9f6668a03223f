"""Tests run against the installed package, never against the checkout by accident."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]
if "PYTEST_XDIST_WORKER" in os.environ:  # workers share the cores, as do the processes that tests start
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
else:
    torch.set_num_threads(2)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With `-n`, what shares a fixture goes to one worker: the tests of a file, or of one network of the collection."""
    for item in items:
        case = getattr(item, "callspec", None)
        network = case.params.get("bench") if case else None
        item.add_marker(pytest.mark.xdist_group(f"{item.path.stem} {network}" if network else item.path.stem))
