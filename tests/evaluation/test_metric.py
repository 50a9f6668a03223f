"""What every metric refuses in the same words."""

from __future__ import annotations

import pytest

from explainers import create_metric
from explainers.errors import OptionError


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("insertion", {"steps": 0}, "steps=0; expected a number of steps of at least 1, or None"),
        ("insertion", {"tolerance": 0.0}, "expected an error of the area between 0 and 1"),
        ("deletion", {"baseline": "gray"}, "expected one of zero, black, mean, blur, noise, or an image"),
        ("pid", {"patch": 0}, "patch=0; expected a side of at least one pixel"),
        ("pid", {"patch": ()}, "expected a side of at least one pixel"),
        ("pid", {"patches": 3}, "pid has no option patches; its options are patch, baseline, steps, tolerance"),
        ("pixel-perturbation", {"percent": (0,)}, "percentages above 0 and below 100"),
        ("threshold-insertion", {"thresholds": 0}, "thresholds=0; expected a number of intervals"),
        ("road", {"noise": -1.0}, "noise=-1.0; expected a standard deviation"),
        ("insertoin", {}, "no metric 'insertoin'; did you mean insertion"),
        ("ssim", {}, "ssim compares two maps: name the explainer"),
    ],
)
def test_options_out_of_range_are_refused_by_name(name, options, text):
    with pytest.raises(OptionError, match=text):
        create_metric(name, **options)
