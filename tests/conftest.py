"""Tests run against the installed package, never against the checkout by accident."""

from __future__ import annotations

import gc
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


def pytest_collectstart() -> None:
    """What is imported to collect the tests stays, so looking for garbage in it finds little."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Thousands of tests and the modules that they are of are not garbage: looking at them again takes a second each time."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With `-n`, what shares a fixture goes to one worker: the tests of a file, or of one network of the collection.

    The networks come last: they are many small groups, so that no worker waits at the end for another's long file.
    """
    networks = {
        item: case.params["bench"]
        for item in items
        if (case := getattr(item, "callspec", None)) and "bench" in case.params
    }
    for item in items:
        group = f"{item.path.stem} {networks[item]}" if item in networks else item.path.stem
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: item in networks)
