"""Boxes, scores and classes of other forms than detections have are noticed, and indices of any library are taken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from detectors import GridDetector, read_grid, torchvision_detector

from explainers import RISE, Saliency, explain
from explainers.errors import OutputError
from explainers.targets import Box, ClassScore, Detections, Difference, Region, Value, detections


def changed(change):
    """The grid's adapter with its detections changed."""
    return lambda returned: [change(each.detach()) for each in read_grid(returned)]


def centred(found):
    boxes = found.boxes
    return torch.cat([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], dim=1)


WRONG = {
    "relative": (lambda each: replace(each, boxes=each.boxes.clamp(0, 40) / 40), "as boxes relative to the image do"),
    "centre and size": (lambda each: replace(each, boxes=centred(each)), r"have x1 < x0 or y1 < y0; expected are corn"),
    "percent": (
        lambda each: replace(each, scores=each.scores * 100),
        r"scores are .* expected 0 … 1 \(divide by 100\)",
    ),
    "logits": (lambda each: replace(each, scores=each.scores.logit()), "scores are -.*become probabilities by a sig"),
    "other logits": (lambda each: replace(each, objectness=each.objectness.logit()), "objectness are -.*by a sigmoid"),
    "below 0": (
        lambda each: Detections(each.boxes, each.scores, each.labels - 3),
        "a label is -[23]; expected classes",
    ),
    "no labels": (lambda each: {"boxes": each.boxes, "scores": each.scores}, "gives boxes without labels"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_detection_is_noticed_by_every_door(wrong):
    change, said = WRONG[wrong]
    network, images, output = GridDetector(), torch.rand(1, 3, 40, 40), changed(change)
    for look in (
        lambda: detections(network, images, output=output),
        lambda: RISE(network, masks=4, output=output)(images, Box()),
        lambda: RISE(network, masks=4, output=output)(images, Box((2, 2, 30, 30), 1, min_iou=0)),
    ):
        with pytest.raises(OutputError, match=said):
            look()


def test_a_few_boxes_that_are_turned_round_are_passed_over_with_a_warning():
    def change(each):
        each.boxes[0] = each.boxes[0, [2, 3, 0, 1]]
        return each

    with pytest.warns(UserWarning, match="1 of 25 boxes have x1 < x0"):
        (found,) = detections(GridDetector(), torch.rand(1, 3, 40, 40), output=changed(change))
    assert len(found) == 24


def test_classes_are_whole_numbers_of_any_library():
    for one in (torch.tensor(1), np.int64(1), 1):
        assert Box((0, 0, 9, 9), one) == Box((0, 0, 9, 9), 1)
        assert Box(None, rank=one) == Box(None, rank=1)
        assert (ClassScore(one), Value(one), Difference(one, 0)) == (ClassScore(1), Value(1), Difference(1, 0))
        assert Region(one).index == 1
    (found,) = detections(GridDetector(), torch.rand(1, 3, 40, 40), output=read_grid)
    assert Box.of(found, np.int64(2)) == Box.of(found, 2)


def test_whole_numbers_as_boxes_keep_the_decimals_of_the_box_that_is_asked_for():
    whole = changed(lambda each: replace(each, boxes=each.boxes.round().long()))
    floats = changed(lambda each: replace(each, boxes=each.boxes.round()))
    network, images, box = GridDetector(), torch.rand(1, 3, 40, 40), Box((5.6, 7.7, 28.3, 30.9), 1, min_iou=0)
    one, other = (RISE(network, masks=8, output=output)(images, box) for output in (whole, floats))
    torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_detector_asked_for_a_class_is_told_to_ask_for_a_box():
    for network, output in ((GridDetector(), read_grid), (torchvision_detector("ssd"), None)):
        with pytest.raises(OutputError, match=r"and 1 more\).*These are boxes: pass targets=explainers.targets.Box"):
            Saliency(network, output=output)(torch.rand(2, 3, 64, 64))


def test_a_detector_of_torchvision_takes_photos_as_they_are():
    photo = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    network = torchvision_detector("ssd")
    made = explain(network, photo, "saliency", target=Box())
    inputs = torch.from_numpy(photo).permute(2, 0, 1)[None] / 255
    torch.testing.assert_close(made.maps, Saliency(network)(inputs, Box()))
