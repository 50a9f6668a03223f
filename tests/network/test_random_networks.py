"""Layer choice, Grad-CAM, Guided Backprop, then every method on random networks of odd proportions; `benchmarks/fuzz.py` goes on for longer."""

from __future__ import annotations

import pytest
from random_cases import outcomes
from random_networks import faults, guided_faults


@pytest.mark.parametrize("seed", range(60))
def test_the_layer_and_the_map_are_those_of_plain_autograd(seed):
    assert faults(seed, every=False) == []


def test_guided_backprop_is_that_of_the_rule_or_refused():
    found = [guided_faults(seed) for seed in range(60)]
    assert [faulty for faulty, _ in found] == [[]] * 60
    refused = sum(bool(reason) for _, reason in found)
    assert refused <= 45  # units written out, others than ReLUs, gates; the rest has an answer


# In the last one a channel of the layer varies where the smaller image does not reach, which Score-CAM passes by.
@pytest.mark.parametrize("seed", [*range(5), 11856])
def test_every_method_is_that_of_its_answer_by_hand(seed):
    assert outcomes(seed)[0] == []
