"""Accuracy over thresholds against a slow loop."""

from __future__ import annotations

import numpy as np
import pytest
import slow_curves as slow
import torch
from curve_cases import case

import explainers
from explainers import create_metric


def test_threshold_metrics_are_the_area_under_the_accuracy():
    network, images, maps, _ = case("residual")
    labels = torch.tensor([slow.predicted(network, images[0]), 1, 2])
    kept = explainers.evaluate(
        network,
        [(images, labels)],
        {"given": lambda *_: maps},
        [create_metric("threshold-insertion", thresholds=8), create_metric("threshold-deletion", thresholds=8)],
    )
    for name in ("threshold-insertion", "threshold-deletion"):
        found = kept.values(name)["given"]
        for row, label in enumerate(labels.tolist()):
            low, high = float(maps[row].min()), float(maps[row].max())
            if high == low:  # a constant map is not scored
                assert str(row) not in found
                continue
            scaled = (maps[row] - low) / (high - low)
            right = []
            for level in np.linspace(0, 1, 9):
                above = scaled > level
                keep = above if name == "threshold-insertion" else ~above
                right.append(float(slow.predicted(network, images[row] * keep) == label))
            assert found[str(row)] == pytest.approx(slow.trapezoid(np.array(right)), abs=1e-9)
