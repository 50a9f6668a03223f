from __future__ import annotations

import re
from collections import Counter

import cv2
import numpy as np
import pytest
import torch

from explainers.data.generated.birds import bird, bird_sentence, bird_set, birds, class_names, kind
from explainers.data.generated.birds.brush import FINER, Cover, closed_curve, disc, open_curve, stroke
from explainers.data.generated.birds.data_set import MEAN, STD
from explainers.data.generated.birds.image import drawn_scene
from explainers.data.generated.birds.kinds import BEAKS, COLOURS, MOST, TAILS
from explainers.data.generated.birds.shapes import BEAK_SHAPES, TAIL_SHAPES
from explainers.data.sets import data_set, data_set_spellings
from explainers.errors import DataError, OptionError


@pytest.fixture(scope="module")
def many():
    return [bird(index, split="train", seed=3, size=64) for index in range(200)]


def test_an_image_depends_on_seed_split_and_index_alone():
    alone = bird(7, split="val", seed=2, size=64)
    pixels, masks, labels = birds(9, split="val", seed=2, size=64)
    assert torch.equal(pixels[7], alone.pixels)
    assert torch.equal(masks[7], alone.bird)
    assert int(labels[7]) == alone.label == 7
    for counts in ("train=8,val=8,test=8", "train=30,val=20,test=0"):
        split = data_set(f"birds:size=64,seed=2,{counts}").val
        assert np.array_equal(split.pixels(7), alone.pixels.permute(1, 2, 0).numpy())
    others = [
        bird(7, split="test", seed=2, size=64),
        bird(7, split="val", seed=1, size=64),
        bird(27, split="val", seed=2, size=64),
    ]
    assert not any(torch.equal(other.pixels, alone.pixels) for other in others)


@pytest.mark.parametrize(
    ("index", "thumbnail", "pixels"),
    [
        (0, [163, 175, 203, 209, 164, 158, 203, 207, 182, 172, 214, 216], (575, 144)),
        (3, [168, 136, 155, 144, 177, 146, 159, 151, 204, 191, 169, 164], (643, 236)),
        (6, [103, 55, 107, 76, 122, 88, 121, 98, 70, 42, 105, 77], (607, 188)),
    ],
)
def test_images_are_the_same_on_every_machine(index, thumbnail, pixels):
    """Written down on one: the means of each channel's quarters, and how many pixels the masks have."""
    made = bird(index, size=64)
    means = torch.nn.functional.avg_pool2d(made.pixels.float()[None], 32).flatten()
    assert means.tolist() == pytest.approx(thumbnail, abs=1)  # a libm may round the last bit of a sine otherwise
    assert (int(made.bird.sum()), int(made.parts.sum())) == pytest.approx(pixels, abs=3)


def test_drawing_uses_no_random_numbers_of_the_caller():
    torch.manual_seed(0)
    np.random.seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    bird(0, size=32)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])


@pytest.mark.parametrize("size", [32, 65, 150])
def test_the_same_scene_in_every_size(size):
    for index in range(8):
        made, reference = bird(index, size=size), bird(index, size=96)
        assert made.pixels.shape == (3, size, size)
        assert made.pixels.dtype == torch.uint8
        assert made.bird.shape == made.parts.shape == (size, size)
        small = cv2.resize(reference.pixels.permute(1, 2, 0).numpy(), (32, 32), interpolation=cv2.INTER_AREA).astype(
            float
        )
        own = cv2.resize(made.pixels.permute(1, 2, 0).numpy(), (32, 32), interpolation=cv2.INTER_AREA).astype(float)
        assert np.corrcoef(small.ravel(), own.ravel())[0, 1] > 0.95
        assert float(made.bird.float().mean()) == pytest.approx(float(reference.bird.float().mean()), rel=0.15)


def test_classes_are_pairs_of_a_beak_and_a_tail_of_which_neither_is_enough():
    kinds = [kind(label) for label in range(MOST)]
    assert len(set(kinds)) == MOST == 100
    for side in range(2, 11):
        first = kinds[: side * side]
        assert {each.beak for each in first} == set(BEAKS[:side])
        assert {each.tail for each in first} == set(TAILS[:side])
    for beaks_or_tails in (BEAKS, TAILS):  # of the first four neither colour nor shape is enough
        assert Counter(part.colour for part in beaks_or_tails[:4]).most_common() == [
            (c, 2) for c in Counter(p.colour for p in beaks_or_tails[:4])
        ]
        assert set(Counter(part.shape for part in beaks_or_tails[:4]).values()) == {2}
    assert {part.shape for part in BEAKS} == set(BEAK_SHAPES)
    assert {part.shape for part in TAILS} == set(TAIL_SHAPES)
    assert class_names(4) == class_names(20)[:4]
    assert class_names(20)[0] == "red-hooked-blue-forked"


def test_classes_are_in_turn():
    assert [bird(index, size=32, classes=5).label for index in range(12)] == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]


def test_the_scene_does_not_depend_on_the_class():
    for index in range(20):
        few, all_ = drawn_scene(index, "train", 0, 4), drawn_scene(index, "train", 0, 100)
        assert (few.manner, few.pose, few.plumage) == (all_.manner, all_.pose, all_.plumage)


def test_the_deciding_parts_are_a_part_of_the_bird_in_two_places(many):
    measure = pytest.importorskip("scipy.ndimage")
    for made in many:
        assert not bool((made.parts & ~made.bird).any())
        assert 0.03 < float(made.bird.float().mean()) < 0.5
        assert 0.008 < float(made.parts.float().mean()) < 0.15
        sizes = np.bincount(measure.label(made.parts.numpy(), np.ones((3, 3)))[0].ravel())[1:]
        assert (sizes >= 8).sum() >= 2  # beak and tail; a racket's discs may be apart
        assert not bool(made.bird[0].any() | made.bird[-1].any() | made.bird[:, 0].any() | made.bird[:, -1].any())


def test_the_deciding_parts_have_the_colours_of_the_class(many):
    """The mean colour of both parts is nearer to that of the class than to any other pair's, but for few."""
    right = 0
    for made in many:
        parts, whole = made.parts.numpy(), made.bird.numpy()
        centre = np.argwhere(whole).mean(axis=0)
        count, places = cv2.connectedComponents(parts.astype(np.uint8))
        beak = BEAKS.index(kind(made.label).beak)
        wanted = {BEAKS[beak].colour, kind(made.label).tail.colour}
        names = set()
        for number in range(1, count):
            inside = places == number
            if inside.sum() < 8 or np.hypot(*(np.argwhere(inside).mean(axis=0) - centre)) < 3:
                continue
            colour = np.median(made.pixels.numpy().transpose(1, 2, 0)[inside] / 255, axis=0)
            colour = colour / np.linalg.norm(colour)
            names.add(
                max(
                    COLOURS,
                    key=lambda name: (
                        float(colour @ np.array(COLOURS[name])) / np.linalg.norm(COLOURS[name])
                        if name not in ("black", "ivory")
                        else -1
                    ),
                )
            )
        right += bool(names & wanted)
    assert right >= 0.9 * len(many)


def test_a_reflection_is_no_part_of_the_bird():
    """Below the water line of a bird in the water there is a picture of it, and no mask."""
    found = 0
    for index in range(60):
        scene = drawn_scene(index, "test", 0, 20)
        if scene.manner != "swimming":
            continue
        made = bird(index, size=96)
        line = scene.figure.feet[1] - 0.25 * scene.pose.plump * scene.scale
        lowest = int(torch.nonzero(made.bird.any(dim=1)).max())
        assert lowest <= np.ceil(line * 96)
        found += 1
    assert found >= 4


def test_sentences_name_the_parts_of_the_class():
    seen = set()
    for index in range(60):
        sentence = bird_sentence(index, split="train", classes=100)
        of = kind(index % 100)
        assert re.search(rf"\b{of.beak.colour} [a-z-]+ beak\b", sentence)
        assert re.search(rf"\b{of.tail.colour} [a-z-]+ tail\b", sentence)
        assert of.tail.shape[:3] in sentence
        assert not re.search(r"\ba [aeio]|\ban [^aeio]", sentence)
        assert sentence == data_set("birds:classes=100,train=60").train.sentence(index)
        seen.add(sentence)
    assert len(seen) > 50


def test_no_colour_elsewhere_tells_the_class():
    """From the colours of everything but the deciding parts (and their reflections) the class cannot be learnt."""
    linear = pytest.importorskip("sklearn.linear_model")
    dry = [index for index in range(900) if drawn_scene(index, "train", 0, 4).manner not in ("wading", "swimming")]
    made = [bird(index, split="train", size=32, classes=4) for index in dry]
    pixels = torch.stack([item.pixels for item in made]).float() / 255
    near = torch.nn.functional.max_pool2d(torch.stack([item.parts for item in made]).float()[:, None], 3, 1, 1) > 0
    labels = np.array([item.label for item in made])
    tests = np.arange(len(made)) % 3 == 0

    def accuracy(hidden: torch.Tensor) -> float:
        seen = torch.where(hidden, -1.0, pixels)  # outside the range, so that no bin counts it
        bins = [[torch.histc(channel, 8, 0, 1) for channel in image] for image in seen]
        counts = torch.stack([torch.stack(each).flatten() for each in bins]).numpy()
        fitted = linear.LogisticRegression(max_iter=200, C=1e-4).fit(counts[~tests], labels[~tests])
        return float(fitted.score(counts[tests], labels[tests]))

    assert accuracy(near) < 0.36  # chance is 0.25, and three standard errors of it are 0.09
    assert accuracy(~near) > 0.6  # as a check of the classifier: the parts alone tell it


def test_covered_pixels_are_the_area_of_an_outline():
    for size, radius in ((50, 0.31), (64, 0.1), (31, 0.4)):
        covered = Cover([disc(0.5, 0.47, radius)], size).values.sum() / size**2
        area, border = 24 / 2 * np.sin(2 * np.pi / 24) * radius**2, 2 * 24 * np.sin(np.pi / 24) * radius
        assert 0 <= (covered - area) / border * size * FINER < 0.6  # points on the border count
    both = Cover([disc(0.4, 0.5, 0.2), disc(0.5, 0.5, 0.2)], 64).values  # overlapping outlines are a union
    assert both.max() == 1
    assert both[both.shape[0] // 2, 3:-3].min() == 1
    assert Cover([disc(3.0, 0.5, 0.1)], 64).values.size == 0
    cut = Cover([np.array([(-1.0, -1.0), (0.5, -1.0), (0.5, 2.0), (-1.0, 2.0)])], 8)
    assert cut.values[:, :4].min() == 1
    assert cut.values[:, 5:].max(initial=0) == 0


def test_curves_go_through_their_points():
    points = [(0.0, 0.0), (1.0, 0.5), (2.0, -0.5), (3.0, 0.0)]
    assert np.allclose(open_curve(points)[::6], points)
    assert np.allclose(closed_curve(points)[::6], points)
    line = open_curve([(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)])  # a straight line stays one
    assert np.allclose(line[:, 1], 1 + 2 * line[:, 0])
    band = stroke([(0.0, 0.0), (1.0, 0.0), (2.0, 0.0)], 0.3, 0.1)[0]
    assert np.allclose(band[:13, 1], -np.linspace(0.3, 0.1, 13), atol=1e-6)
    assert np.allclose(band[13:, 1], np.linspace(0.1, 0.3, 13), atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"size": 31}, "size=31; expected at least 32 pixels"),
        ({"classes": 3}, "classes=3; expected 4 … 100"),
        ({"classes": 101}, "classes=101; expected 4 … 100"),
        ({"split": "training"}, "split='training'; expected one of train, val, test"),
    ],
)
def test_settings_out_of_range_are_refused(settings, text):
    with pytest.raises(OptionError, match=text):
        bird(0, **settings)


def test_no_images_are_refused():
    with pytest.raises(OptionError, match="count=0; expected at least 1"):
        birds(0)


def test_data_set_has_the_settings_that_its_specification_names():
    made = bird_set("size=64,classes=10,train=30,val=12,test=11,seed=5")
    assert made.spec == "birds:size=64,classes=10,train=30,val=12,test=11,seed=5"
    assert made.class_names == class_names(10)
    assert [len(split) for split in (made.train, made.val, made.test)] == [30, 12, 11]
    assert made.masks
    for name, split in (("train", made.train), ("val", made.val), ("test", made.test)):
        item = bird(10, split=name, seed=5, size=64, classes=10)
        assert split.labels[10] == item.label == 0
        assert split.names[10] == "00010-red-hooked-blue-forked.png"
        assert split.pixels(10).flags.c_contiguous
        assert np.array_equal(split.pixels(10), item.pixels.permute(1, 2, 0).numpy())
        assert split.mask_names == ("bird", "parts")
        assert np.array_equal(split.mask(10), item.bird.numpy())
        assert np.array_equal(split.named_mask(10, "bird"), item.bird.numpy())
        assert np.array_equal(split.named_mask(10, "parts"), item.parts.numpy())
    with pytest.raises(DataError, match="there is no mask 'wing'; there is bird and parts"):
        made.test.named_mask(0, "wing")
    with pytest.raises(IndexError):
        made.test.pixels(11)
    assert "birds[:KEY=VALUE,…]" in data_set_spellings()
    assert bird_set("test=0").test is None


def test_mean_and_deviation_are_those_of_the_images(many):
    values = torch.stack([item.pixels for item in many]).float() / 255
    assert values.mean(dim=(0, 2, 3)).tolist() == pytest.approx(MEAN, abs=0.03)
    assert values.std(dim=(0, 2, 3)).tolist() == pytest.approx(STD, rel=0.1)


@pytest.mark.parametrize(
    ("rest", "text"),
    [
        ("size=16", "birds:size=16: size=16; expected at least 32"),
        ("classes=2", "classes=2; expected 4 … 100"),
        ("train=0", "birds:train=0: train=0; expected at least 1"),
        ("test=-1", "test=-1; expected at least 0"),
        ("colour=1", "'colour=1' is no setting; they are size, classes, train, val, test, seed"),
    ],
)
def test_specifications_out_of_range_are_refused(rest, text):
    with pytest.raises(DataError, match=text):
        bird_set(rest)
