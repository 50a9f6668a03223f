"""The generated digits and the shipped samples."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

pytest.importorskip("sklearn")

import explainers.data.generated.digits as generator
from explainers.data.generated.digits import CLASSES, SIZE, digit, digits
from explainers.data.images import read_image
from explainers.data.samples import sample_images, sample_masks
from explainers.errors import DependencyError, OptionError


def test_an_image_depends_on_its_split_seed_and_index_alone():
    pixels, masks, labels = digits(6, split="train", seed=3)
    for index in (4, 1):
        again = digit(index, split="train", seed=3)
        assert torch.equal(again.pixels, pixels[index])
        assert torch.equal(again.mask, masks[index])
        assert again.label == labels[index]
    assert not torch.equal(digit(1, split="train", seed=4).pixels, pixels[1])
    assert not torch.equal(digit(1, split="test", seed=3).pixels, pixels[1])


def test_training_and_test_share_no_handwritten_digit():
    may = {split: set(generator._digits(split)[2].tolist()) for split in ("train", "test")}
    assert not may["train"] & may["test"]
    for split in may:
        drawn = {digit(index, split=split).source for index in range(150)}
        assert drawn <= may[split]
        assert len(drawn) > 100


def test_no_handwritten_digit_is_in_both_splits_under_two_numbers():
    train, test = generator._digits("train")[0], generator._digits("test")[0]
    assert len(train) + len(test) == 1797
    assert float(torch.cdist(test.flatten(1), train.flatten(1)).min()) > 0


def test_training_and_test_backgrounds_share_no_part_of_a_photograph(monkeypatch):
    width = 640
    columns = torch.arange(width, dtype=torch.float32).expand(3, 427, width)  # each pixel says its column
    monkeypatch.setattr(generator, "_photographs", lambda: (columns, columns))
    rng = torch.Generator().manual_seed(0)
    crops = {split: [generator._background(split, rng) for _ in range(300)] for split in ("train", "test")}
    last, first = max(float(crop.max()) for crop in crops["train"]), min(float(crop.min()) for crop in crops["test"])
    assert last < first
    assert first - last < 10  # and little of the photograph is left unused
    assert {tuple(crop.shape) for crop in crops["train"] + crops["test"]} == {(3, SIZE, SIZE)}


def test_class_says_nothing_about_colour_of_the_ink_or_place():
    pixels, masks, labels = digits(600, split="train", seed=5)
    place = torch.stack([mask.nonzero().float().mean(0) for mask in masks])
    colour = torch.stack([image[:, mask].float().mean(1) for image, mask in zip(pixels, masks, strict=True)])
    for trait in (place, colour):
        scaled = (trait - trait.mean(0)) / trait.std(0)
        trend = (labels.float() - labels.float().mean()) / labels.float().std()
        # four standard errors: of a correlation, and of the mean of one class
        assert ((scaled * trend[:, None]).mean(0).abs() < 4 / len(labels) ** 0.5).all()
        for label in range(10):
            mine = scaled[labels == label]
            assert (mine.mean(0).abs() < 4 / len(mine) ** 0.5).all()


def test_without_scikit_learn_the_generator_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    generator._digits.cache_clear()
    with pytest.raises(DependencyError, match=r"scikit-learn: pip install 'explainers\[demo\]'"):
        digit(0)


def test_masks_are_the_strokes():
    for index in range(30):
        made = digit(index)
        inside = made.mask.float().mean()
        assert 0.01 < inside < 0.3
        pixels = made.pixels.float()
        spread = pixels[:, made.mask].std(dim=1).mean()
        assert spread < 45  # one colour, but for a distractor under thin ink and noise
        assert made.pixels.shape == (3, 96, 96)
        assert 0 <= made.label < 10


def test_unknown_splits_are_refused():
    with pytest.raises(OptionError, match="'train' or 'test'"):
        digit(0, split="validation")


def test_samples_are_the_generators_test_images_with_their_masks():
    """Kernels of other processors and versions of torch differ in the last bits of float32, so that a value half way
    between two gray levels may round to the other one: one level, in a few values of an image."""
    files, masks = sample_images(), sample_masks()
    assert len(files) == 24
    assert set(masks) == {file.name for file in files}
    pixels, strokes, labels = digits(400, start=100_000)
    known = pixels.permute(0, 2, 3, 1).numpy().astype(np.int16)
    for file in files:
        apart = np.abs(known - read_image(file.path).pixels.astype(np.int16)).reshape(len(known), -1)
        index = int(apart.sum(axis=1).argmin())
        assert apart[index].max() <= 1
        assert (apart[index] > 0).sum() <= 3
        assert file.name.split("-")[1] == f"{CLASSES[labels[index]]}.png"
        assert np.array_equal(read_image(masks[file.name]).pixels[:, :, 0] > 0, strokes[index].numpy())
