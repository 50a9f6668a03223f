"""The generated digits and the shipped samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("sklearn")

from explainers.data.digits import CLASSES, digit, digits
from explainers.data.images import read_image
from explainers.data.samples import sample_images, sample_masks
from explainers.errors import OptionError


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
    train = {digit(index, split="train").source for index in range(1500)}
    test = {digit(index, split="test").source for index in range(1500)}
    assert not train & test
    assert len(test) > 300


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
    files, masks = sample_images(), sample_masks()
    assert len(files) == 24
    assert set(masks) == {file.name for file in files}
    pixels, strokes, labels = digits(400, start=100_000)
    known = {bytes(p.permute(1, 2, 0).contiguous().numpy()): i for i, p in enumerate(pixels)}
    for file in files:
        index = known[read_image(file.path).pixels.tobytes()]
        assert file.name.split("-")[1] == f"{CLASSES[labels[index]]}.png"
        assert np.array_equal(read_image(masks[file.name]).pixels[:, :, 0] > 0, strokes[index].numpy())
