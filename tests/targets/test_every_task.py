"""Every method and some metrics on a network of each task: the answer by hand, or a reason and another way.

benchmarks/tasks.py does the same on all networks, for all metrics and beside other packages.
"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from task_answers import judged
from task_cases import TASKS
from task_scores import judged_metric

import explainers
from explainers.targets import Region, Value

pytest.importorskip("torchvision")
pytest.importorskip("captum")

REMEDY = re.compile(r"\b(use|try|pass|choose|explain|leave)\b", re.IGNORECASE)
AT = {"segmentation": 1, "several inputs": 1}  # which network of a task: coarse and in a dict, one trunk for two images
LEAST = {"segmentation": 19, "detection": 19, "similarity": 20, "value": 21, "several inputs": 18}  # right, of 26
METRICS = (
    "patch-insertion",
    "pid",
    "average-drop",
    "insertion",
    "energy-pointing-game",
    "threshold-deletion",
    "infidelity",
)


def case_of(task):
    return TASKS[task]()[AT.get(task, 0)]


@pytest.mark.parametrize("task", TASKS)
def test_no_method_is_wrong_on_any_task(task):
    case, right = case_of(task), 0
    for method in explainers.available():
        outcome, told = judged(method, case)
        assert outcome in ("right", "refused", "no answer by hand"), (method, outcome, told)
        assert outcome != "no answer by hand" or method == "visual-backprop"
        assert outcome != "refused" or REMEDY.search(told), (method, told)
        right += outcome == "right"
    assert right >= LEAST.get(task, 21)


@pytest.mark.parametrize("task", TASKS)
def test_no_metric_is_wrong_on_any_task(task):
    case, right = case_of(task), 0
    for metric in METRICS:
        outcome, told = judged_metric(metric, case)
        assert outcome in ("right", "refused"), (metric, outcome, told)
        assert outcome != "refused" or REMEDY.search(told), (metric, told)
        right += outcome == "right"
    assert right >= len(METRICS) - 2


@pytest.mark.parametrize(
    "method", ["saliency", "grad-cam", "occlusion", "rise", "score-cam", "guided-backprop", "lime"]
)
def test_maps_of_another_question_are_told_from_the_answer(method):
    """Otherwise a cell that is right would say nothing."""
    value = case_of("value")
    assert judged(method, replace(value, targets=Value(1, lowered=True)))[0] == "wrong"
    region = case_of("segmentation")
    assert judged(method, replace(region, targets=Region(1, (4, 8, 18, 20))))[0] == "wrong"


def test_the_value_of_a_map_of_another_question_is_told_from_the_answer():
    value = case_of("value")
    for metric in ("patch-insertion", "insertion", "infidelity"):
        assert judged_metric(metric, replace(value, targets=Value(1)))[0] == "wrong"
