"""The generated magnetograms: their class follows from the inversion line and from nothing simpler."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from explainers.data.generated.magnetogram import (
    CLASSES,
    MagnetogramSplit,
    inversion_line,
    magnetogram,
    magnetogram_set,
    magnetograms,
    scene_of,
)
from explainers.data.generated.magnetogram.data_set import MEAN, STD
from explainers.data.generated.magnetogram.field import STRONG
from explainers.data.generated.magnetogram.image import SPLITS, generator_of
from explainers.data.generated.magnetogram.scene import MARGIN, REFERENCE, THRESHOLDS
from explainers.data.sets import data_set, data_set_spellings
from explainers.errors import DataError, OptionError


@pytest.fixture(scope="module")
def many():
    return [magnetogram(index, split="train", seed=9) for index in range(600)]


def test_an_image_depends_on_its_split_seed_index_and_settings_alone():
    pixels, masks, labels = magnetograms(5, split="train", seed=3, size=64)
    for index in (4, 1):
        torch.rand(3)  # the global generator has no say
        again = magnetogram(index, split="train", seed=3, size=64)
        assert torch.equal(again.pixels, pixels[index])
        assert torch.equal(again.mask, masks[index])
        assert again.label == labels[index]


def test_splits_seeds_and_indices_share_no_image():
    made = [
        magnetogram(index, split=split, seed=seed, size=32)
        for split in ("train", "val", "test")
        for seed in (0, 1, 2**32)
        for index in range(5)
    ]
    assert len({item.pixels.numpy().tobytes() for item in made}) == len(made)


def test_no_seed_of_a_split_is_one_of_another():
    seeds = {split: {generator_of(index, split, 0).initial_seed() for index in range(500)} for split in SPLITS}
    assert all(0 <= seed < 2**32 for each in seeds.values() for seed in each)
    assert {seed % 4 for seed in seeds["train"]} == {0}
    assert {seed % 4 for seed in seeds["val"]} == {1}
    assert {seed % 4 for seed in seeds["test"]} == {2}


@pytest.mark.parametrize("size", [32, 65, 96, 200])
def test_the_same_scene_in_every_size(size):
    for index in range(4):
        made, reference = magnetogram(index, size=size), magnetogram(index)
        assert made.pixels.shape == (1, size, size)
        assert made.pixels.dtype == torch.uint8
        assert made.mask.shape == (size, size)
        assert made.mask.dtype == torch.bool
        assert (made.label, made.strength) == (reference.label, reference.strength)
        assert bool(made.mask.any()) == (made.label > 0)
        assert float(made.mask.float().mean()) == pytest.approx(float(reference.mask.float().mean()), rel=0.35)
        whole, part = (item.pixels.float().mean() - 128 for item in (reference, made))
        assert float(part) == pytest.approx(float(whole), abs=0.5)  # the same net flux


def test_pixels_are_the_field_and_the_instruments_noise():
    for index in range(10):
        scene = scene_of(index, seed=2)
        off = (magnetogram(index, seed=2).pixels[0].float() - 128) / 127 - scene.field(REFERENCE).clamp(-1, 1)
        assert 0.015 <= scene.noise <= 0.035
        assert float(off.std()) == pytest.approx(scene.noise, rel=0.15)
        assert abs(float(off.mean())) < 0.002


def slow_strength(field: np.ndarray) -> tuple[np.ndarray, float]:
    """The line pixel by pixel, and the integral of the gradient's size over it."""
    size = len(field)
    line = np.zeros(field.shape, bool)
    total = 0.0
    for i in range(size):
        for j in range(size):
            near = field[max(i - 2, 0) : i + 3, max(j - 2, 0) : j + 3]
            line[i, j] = near.max() > STRONG and near.min() < -STRONG
            if line[i, j]:
                top, bottom, left, right = max(i - 1, 0), min(i + 1, size - 1), max(j - 1, 0), min(j + 1, size - 1)
                down = (field[bottom, j] - field[top, j]) / (bottom - top)
                across = (field[i, right] - field[i, left]) / (right - left)
                total += np.hypot(down, across) / size
    return line, total


def test_strength_is_that_of_a_slow_rewrite_on_the_noise_free_field():
    for index in range(12):
        made = magnetogram(index, seed=1)
        field = scene_of(index, seed=1).field(REFERENCE)
        line, strength = slow_strength(field.numpy().astype(np.float64))
        assert made.strength == pytest.approx(strength, abs=1e-4)
        assert np.array_equal(inversion_line(field)[0].numpy(), line)


def test_strength_of_a_straight_edge_is_its_length_times_the_jump():
    for size in (96, 192):
        field = torch.zeros(size, size)
        field[: size // 2, : size // 2], field[size // 2 :, : size // 2] = 0.6, -0.5
        line, strength = inversion_line(field)
        assert strength == pytest.approx(0.5 * 1.1, rel=0.08)
        assert line.nonzero()[:, 0].float().mean() == pytest.approx((size - 1) / 2)


def test_strength_hardly_depends_on_the_grid():
    for index in range(20):
        scene = scene_of(index, rate=1.0)
        assert inversion_line(scene.field(192))[1] == pytest.approx(magnetogram(index, rate=1.0).strength, rel=0.25)


@pytest.mark.parametrize("grades", [2, 4])
def test_strength_lies_between_the_thresholds_of_its_class_with_a_margin(grades):
    made = [magnetogram(index, size=32, grades=grades, rate=1 - 1 / grades) for index in range(120)]
    edges = (-1.0, *THRESHOLDS[grades], 1e9)
    for item in made:
        assert edges[item.label] * (1 + MARGIN) < item.strength < edges[item.label + 1] * (1 - MARGIN)
        assert item.strength >= 0
    counts = Counter(item.label for item in made)
    assert set(counts) == set(range(grades))
    assert min(counts.values()) > 120 / grades * 0.6


def test_masks_are_empty_without_a_flare_and_lie_where_both_polarities_touch(many):
    for index, item in enumerate(many[:60]):
        assert bool(item.mask.any()) == (item.label > 0)
        if not item.label:
            continue
        field = scene_of(index, split="train", seed=9).field(REFERENCE).numpy()
        rows, columns = item.mask.nonzero().T
        for i, j in list(zip(rows.tolist(), columns.tolist(), strict=True))[::7]:
            near = field[max(i - 3, 0) : i + 4, max(j - 3, 0) : j + 4]
            assert near.max() > STRONG
            assert near.min() < -STRONG
        assert 0.002 < item.mask.float().mean() < 0.1


def best_balanced_accuracy(values: list[float], labels: np.ndarray) -> float:
    """Of the best threshold, either way round."""
    found, best = np.array(values), 0.5
    for threshold in np.unique(found):
        above = found > threshold
        accuracy = (above[labels == 1].mean() + (~above)[labels == 0].mean()) / 2
        best = max(best, accuracy, 1 - accuracy)
    return best


def test_only_the_strength_tells_the_classes_apart(many):
    measure = pytest.importorskip("scipy.ndimage")
    labels = np.array([item.label for item in many])
    found: dict[str, list[float]] = {}
    for item in many:
        field = (item.pixels[0].numpy().astype(float) - 128) / 127
        strong = (field > STRONG, field < -STRONG)
        sizes = [np.bincount(measure.label(pole)[0].ravel())[1:] for pole in (*strong, strong[0] | strong[1])]
        statistics = {
            "unsigned flux": np.abs(field).sum(),
            "net flux": abs(field.sum()),
            "spots": sum((size >= 8).sum() for size in sizes[:2]),
            "groups": (sizes[2] >= 8).sum(),
            "largest field": np.abs(field).max(),
            "strongest fiftieth pixel": np.sort(np.abs(field).ravel())[-50],
            "saturated pixels": (np.abs(field) >= 1).sum(),
            "largest spot": max(size.max(initial=0) for size in sizes[:2]),
            "largest group": sizes[2].max(initial=0),
            "both polarities": min(strong[0].sum(), strong[1].sum()) >= 8,
            "weaker polarity": min(strong[0].sum(), strong[1].sum()),
            "spread": field.std(),
        }
        for name, value in statistics.items():
            found.setdefault(name, []).append(float(value))
    accuracies = {name: best_balanced_accuracy(values, labels) for name, values in found.items()}
    assert max(accuracies.values()) < 0.68, accuracies
    assert best_balanced_accuracy([item.strength for item in many], labels) == 1.0


def test_rate_is_the_share_of_flares_and_changes_no_scene_of_the_same_class():
    for rate in (0.0, 0.1, 0.5, 1.0):
        labels = np.array(MagnetogramSplit(2000, split="val", seed=1, size=32, grades=2, rate=rate).labels)
        assert labels.mean() == pytest.approx(rate, abs=0.03)
    few, half = (magnetogram(4, rate=rate) for rate in (0.01, 0.3))
    assert few.label == half.label == 0
    assert torch.equal(few.pixels, half.pixels)


def test_grades_of_flares_are_equally_frequent():
    labels = MagnetogramSplit(4000, split="train", seed=0, size=32, grades=4, rate=0.75).labels
    assert all(count == pytest.approx(1000, abs=130) for count in Counter(labels).values())


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"size": 31}, "size=31; expected at least 32 pixels"),
        ({"grades": 3}, r"grades=3; expected 2 \(no-flare, flare\) or 4 \(O, C, M, X\)"),
        ({"rate": 1.5}, "rate=1.5; expected a share of flares, 0 … 1"),
        ({"rate": float("nan")}, "rate=nan; expected a share"),
        ({"split": "training"}, "split='training'; expected one of train, val, test"),
    ],
)
def test_settings_out_of_range_are_refused(settings, text):
    with pytest.raises(OptionError, match=text):
        magnetogram(0, **settings)


def test_no_images_are_refused():
    with pytest.raises(OptionError, match="count=0; expected at least 1"):
        magnetograms(0)


def test_data_set_has_the_settings_that_its_specification_names():
    made = magnetogram_set("size=64,grades=4,train=30,val=8,test=7,rate=0.75,seed=5")
    assert made.spec == "magnetogram:size=64,grades=4,train=30,val=8,test=7,rate=0.75,seed=5"
    assert made.class_names == CLASSES[4]
    assert [len(split) for split in (made.train, made.val, made.test)] == [30, 8, 7]
    assert made.masks
    for name, split in (("train", made.train), ("val", made.val), ("test", made.test)):
        for index in (0, 6):
            item = magnetogram(index, split=name, seed=5, size=64, grades=4, rate=0.75)
            assert split.labels[index] == item.label
            assert split.names[index] == f"{index:05d}-{CLASSES[4][item.label]}.png"
            pixels = split.pixels(index)
            assert pixels.shape == (64, 64, 3)
            assert pixels.dtype == np.uint8
            assert all(np.array_equal(pixels[:, :, channel], item.pixels[0].numpy()) for channel in range(3))
            assert np.array_equal(split.mask(index), item.mask.numpy())


def test_data_set_without_settings_and_by_its_name():
    made = data_set("magnetogram")
    assert [len(split) for split in (made.train, made.val, made.test)] == [4000, 500, 500]
    assert made.class_names == ("no-flare", "flare")
    assert made.preprocessing.source == "magnetogram"
    assert len(set(made.train.names)) == 4000
    assert "magnetogram[:KEY=VALUE,…]" in data_set_spellings()
    assert magnetogram_set("test=0").test is None


def test_images_beyond_the_last_are_an_index_error():
    with pytest.raises(IndexError):
        magnetogram_set("train=3").train.pixels(3)


def test_input_of_the_network_is_the_scaled_field():
    made = magnetogram_set("train=2")
    seen = made.preprocessing(made.train.pixels(1))
    values = magnetogram(1, split="train").pixels.float() / 255
    assert seen.shape == (1, 96, 96)
    assert torch.allclose(seen * STD[0] + MEAN[0], values, atol=1e-4 + 1e-6)  # the luma weights add up to 0.9999


def test_mean_and_deviation_are_those_of_the_images(many):
    values = torch.stack([item.pixels for item in many]).float() / 255
    assert float(values.mean()) == pytest.approx(MEAN[0], abs=0.003)
    assert float(values.std()) == pytest.approx(STD[0], rel=0.05)


@pytest.mark.parametrize(
    ("rest", "text"),
    [
        ("size=16", "magnetogram:size=16: size=16; expected at least 32"),
        ("grades=3", "grades=3; expected 2"),
        ("rate=-0.1", "rate=-0.1; expected a share"),
        ("train=0", "magnetogram:train=0: train=0; expected at least 1"),
        ("val=-3", "val=-3; expected at least 1"),
        ("test=-1", "test=-1; expected at least 0"),
        ("colour=1", "'colour=1' is no setting; they are size, grades, train, val, test, rate, seed"),
        ("size=big", "size='big' is no int"),
    ],
)
def test_specifications_out_of_range_are_refused(rest, text):
    with pytest.raises(DataError, match=text):
        magnetogram_set(rest)
