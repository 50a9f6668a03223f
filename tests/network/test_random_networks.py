"""Layer choice and Grad-CAM on random networks of odd proportions; `benchmarks/fuzz.py` goes on for longer."""

from __future__ import annotations

import pytest
from random_networks import faults


@pytest.mark.parametrize("seed", range(60))
def test_the_layer_and_the_map_are_those_of_plain_autograd(seed):
    assert faults(seed, every=False) == []
