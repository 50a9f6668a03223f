"""Boxes with captions on a picture."""

from __future__ import annotations

import numpy as np
import pytest

from explainers.render import with_boxes
from explainers.render.boxes import placed

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


def test_captions_of_one_corner_stand_beside_each_other():
    """Together they have as many light pixels as each by itself, but for some on the box's line: none is covered."""
    grey = np.full((300, 400, 3), 90, np.uint8)
    captions = [f"#{number} bicycle 0.9{number}" for number in range(1, 5)]

    def light(which):
        plain, made = (
            with_boxes(grey, [((50, 50, 360, 280), text if named else "") for text in which]) for named in (0, 1)
        )
        return int(((made > 200) & (plain <= 200)).sum())

    assert light(captions) == pytest.approx(sum(light([each]) for each in captions), rel=0.01)


def test_places_do_not_meet_and_the_first_is_where_it_is_wanted():
    draw = np.random.default_rng(0)
    for _ in range(20):
        count = int(draw.integers(2, 9))
        wanted = [tuple(each) for each in draw.integers(0, 120, (count, 2)).tolist()]
        sizes = [(int(width), 14) for width in draw.integers(20, 90, count)]
        found = placed(wanted, sizes, (200, 160))
        assert found[0] == (min(wanted[0][0], 200 - sizes[0][0]), wanted[0][1])
        cover = np.zeros((160, 200), int)
        for (x, y), (width, height) in zip(found, sizes, strict=True):
            cover[y : y + height, x : x + width] += 1
        assert cover.max() == 1
        assert cover.sum() == sum(width * height for width, height in sizes), "and all of them are in the picture"


def test_what_finds_no_room_is_left_out():
    assert placed([(0, 0)] * 3, [(50, 20)] * 3, (50, 45)) == [(0, 0), (0, 20), None]
    assert placed([(0, 0)], [(60, 20)], (50, 45)) == [None]
