"""The generated scenes: what they say of themselves is what was painted."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from matplotlib.path import Path
from torchvision.ops import masks_to_boxes

from explainers.data.generated.random_numbers import SPLITS, numbers_of, smooth_noise
from explainers.data.generated.scenes import COLOURS, KINDS, pair, scene, scenes
from explainers.data.generated.scenes.ground import _PURE
from explainers.data.generated.scenes.shapes import cover, outline
from explainers.errors import OptionError


@pytest.fixture(scope="module")
def many():
    return scenes(150, split="train", seed=9)


def test_an_image_depends_on_its_split_seed_index_and_size_alone():
    made = scenes(5, split="train", seed=3, size=40)
    for index in (4, 1):
        np.random.rand(3)  # the global generator has no say
        again = scene(index, split="train", seed=3, size=40)
        assert torch.equal(again.pixels, made[index].pixels)
        assert torch.equal(again.shapes, made[index].shapes)
        assert torch.equal(again.boxes, made[index].boxes)


def test_splits_seeds_and_indices_share_no_image():
    made = [
        scene(index, split=split, seed=seed, size=32)
        for split in SPLITS
        for seed in (0, 1, 2**32)
        for index in range(4)
    ]
    assert len({each.pixels.numpy().tobytes() for each in made}) == len(made)


def test_a_pixel_is_covered_by_the_share_that_lies_in_the_polygon():
    corners = np.array([(4 / 3, 1), (3, 1), (3, 2 + 2 / 3), (4 / 3, 2 + 2 / 3)]) / 8
    (rows, columns), shares = cover(corners, 8)
    assert (rows, columns) == (slice(1, 3), slice(1, 3))
    np.testing.assert_allclose(shares, [[2 / 3, 1], [4 / 9, 2 / 3]], rtol=1e-6)


def test_what_leaves_the_image_is_cut_off():
    (rows, columns), shares = cover(np.array([(-0.5, -0.5), (0.25, -0.5), (0.25, 2), (-0.5, 2)]), 8)
    assert (rows, columns) == (slice(0, 8), slice(0, 2))
    assert (shares == 1).all()
    assert cover(np.array([(2, 2), (3, 2), (3, 3)]), 8)[1].size == 0


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_all_kinds_have_the_same_area(kind):
    x, y = outline(kind, 0.5, 0.5, 0.3, 0.7).T
    area = abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2
    assert area == pytest.approx(2 * 0.3**2, rel=0.04)


def test_classes_are_those_of_the_outlines(many):
    """matplotlib says which pixels' middles lie in which outline; later shapes hide earlier ones."""
    y, x = np.meshgrid(np.arange(64) + 0.5, np.arange(64) + 0.5, indexing="ij")
    points = np.stack([x.ravel(), y.ravel()], axis=1) / 64
    for made in many[:40]:
        wanted = np.zeros((64, 64), int)
        for thing in made.things:
            inside = Path(outline(thing.kind, thing.x, thing.y, thing.radius, thing.turn)).contains_points(points)
            wanted[inside.reshape(64, 64)] = 1 + thing.kind
        differing = (wanted != made.classes.numpy()).sum()  # of pixels half covered
        assert differing <= 0.1 * (wanted > 0).sum()
        assert (made.classes.numpy()[wanted > 0] > 0).mean() > 0.9


def test_boxes_labels_and_value_are_those_of_the_pixels(many):
    for made in many:
        masks = torch.stack([made.shapes == 1 + number for number in range(len(made.things))])
        wanted = masks_to_boxes(masks)
        wanted[:, 2:] += 1  # there the last pixel, here where it ends
        assert torch.equal(made.boxes, wanted)
        for mask, label, thing in zip(masks, made.labels, made.things, strict=True):
            assert label == thing.kind
            assert (made.classes[mask] == 1 + label).all()
        assert torch.equal(made.classes > 0, made.shapes > 0)
        warm = [
            mask for mask, thing in zip(masks, made.things, strict=True) if COLOURS[thing.colour] in ("red", "yellow")
        ]
        assert made.warm_share == pytest.approx(100 / 64**2 * sum(int(mask.sum()) for mask in warm))
        assert int(made.warm.sum()) == sum(int(mask.sum()) for mask in warm)


def test_shapes_have_their_colours(many):
    right = total = 0
    for made in many:
        pixels = made.pixels.float() / 255
        for number, thing in enumerate(made.things):
            seen = pixels[:, made.shapes == 1 + number].mean(dim=1).numpy()
            right += int(np.abs(_PURE - seen).sum(axis=1).argmin()) == thing.colour
            total += 1
    assert right > 0.95 * total


def test_most_of_each_shape_is_seen(many):
    for made in many:
        for number, thing in enumerate(made.things):
            seen = int((made.shapes == 1 + number).sum())
            assert seen > 0.6 * 2 * (64 * thing.radius) ** 2


def test_kinds_colours_and_counts_are_balanced(many):
    kinds = Counter(int(label) for made in many for label in made.labels)
    colours = Counter(thing.colour for made in many for thing in made.things)
    assert all(0.18 < kinds[kind] / kinds.total() < 0.32 for kind in range(len(KINDS)))
    assert all(0.1 < colours[colour] / colours.total() < 0.24 for colour in range(len(COLOURS)))
    assert set(Counter(len(made.things) for made in many)) == {1, 2, 3, 4}


def test_a_pair_has_one_shape_in_common():
    for index in range(30):
        made = pair(index, size=32)
        looks = [[(thing.kind, thing.colour) for thing in each.things] for each in (made.first, made.second)]
        assert looks[0][0] == looks[1][0]
        assert len(set(looks[0]) | set(looks[1])) == len(looks[0]) + len(looks[1]) - 1
        for mask, each in zip(made.masks, (made.first, made.second), strict=True):
            assert (each.classes[mask] == 1 + looks[0][0][0]).all()
            assert mask.any()


def test_a_pair_depends_on_its_index_alone():
    assert torch.equal(pair(3).second.pixels, pair(3).second.pixels)
    assert not torch.equal(pair(3).second.pixels, pair(4).second.pixels)


def test_smooth_noise_has_the_grid_at_its_ends_and_stays_within():
    made = smooth_noise(numbers_of("test", "train", 0, 0), (9, 30, 17), 4)
    assert made.shape == (9, 30, 17)
    assert np.abs(made).max() <= 1
    grid = numbers_of("test", "train", 0, 0).uniform(-1, 1, [2, 5, 3]).astype(np.float32)
    np.testing.assert_allclose(made[::8, ::29, ::16], grid[::1, ::4, ::2], rtol=1e-5)


@pytest.mark.parametrize(
    ("given", "told"),
    [({"split": "training"}, "train, val, test"), ({"size": 31}, "size=31"), ({"index": -1}, "index=-1")],
)
def test_settings_out_of_range_are_refused(given, told):
    with pytest.raises(OptionError, match=told):
        scene(**{"index": 0, **given})
    with pytest.raises(OptionError, match=told):
        pair(**{"index": 0, **given})


def test_no_images_are_refused():
    with pytest.raises(OptionError, match="count=0"):
        scenes(0)
