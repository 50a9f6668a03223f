"""Average drop and increase, image by image."""

from __future__ import annotations

import pytest
import slow_curves as slow
import torch
from curve_cases import case, value


def test_drop_and_increase_look_at_the_image_through_its_scaled_map():
    network, images, maps, targets = case("chain")
    drop, rise = (value(name, network, images, maps, targets) for name in ("average-drop", "increase"))
    for row, target in enumerate(targets):
        low, high = float(maps[row].min()), float(maps[row].max())
        scaled = (maps[row] - low) / (high - low) if high > low else torch.zeros_like(maps[row])
        clean, faded = (slow.probability(network, each, target) for each in (images[row], images[row] * scaled))
        assert float(drop[row]) == pytest.approx(max(0, clean - faded) / clean, abs=1e-6)
        assert float(rise[row]) == float(faded > clean)
