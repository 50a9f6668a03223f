"""Boxes with captions on a picture."""

from __future__ import annotations

import numpy as np

from explainers.render import with_boxes

WHITE, GRAY = [255, 255, 255], [120, 120, 120]


def test_a_line_lies_at_each_edge_and_the_rest_stays():
    picture = np.full((300, 400, 3), 120, np.uint8)
    made = with_boxes(picture, [((40, 60, 240, 200), "1 cup")])
    assert made.shape == picture.shape
    for y, x in ((60, 150), (199, 150), (130, 40), (130, 239)):
        assert made[y, x].tolist() == WHITE
    for y, x in ((58, 150), (201, 150), (130, 38), (130, 241), (150, 150), (10, 10)):
        assert made[y, x].tolist() == GRAY
    assert (picture == 120).all()


def test_small_pictures_are_enlarged_and_boxes_with_them():
    made = with_boxes(np.full((64, 100, 3), 120, np.uint8), [((10, 20, 30, 40), "")])
    assert made.shape == (256, 400, 3)
    assert made[80, 80].tolist() == WHITE
    assert made[159, 80].tolist() == WHITE
    assert made[160, 80].tolist() == GRAY


def test_boxes_may_reach_beyond_the_picture_or_miss_it():
    picture = np.full((300, 300, 3), 120, np.uint8)
    made = with_boxes(picture, [((-50, -50, 1000, 1000), ""), ((400, 400, 500, 500), "gone")])
    assert made[299, 150].tolist() == WHITE
    assert made[0, 150].tolist() == WHITE
    assert made[150, 150].tolist() == GRAY


def test_the_first_box_lies_on_top():
    picture = np.full((300, 300, 3), 120, np.uint8)
    boxes = [((50, 50, 200, 200), "first"), ((50, 50, 260, 200), "second one")]
    assert (with_boxes(picture, boxes)[50:200, 199] == 255).all()


def test_a_caption_at_the_edge_stays_whole():
    """Its letters are those of the same caption in the middle of the picture."""
    grey = np.full((300, 400, 3), 90, np.uint8)
    middle, corner = (
        with_boxes(grey, [((x, y, x + 30, y + 20), "#1 class 1 0.16")]) for x, y in ((100, 100), (370, 280))
    )
    light = [int((picture.min(axis=2) > 90).sum()) for picture in (middle, corner)]
    assert middle.shape == corner.shape
    assert abs(light[0] - light[1]) < 0.2 * light[0]
