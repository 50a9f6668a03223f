"""Changed training images: by hand on tiny tensors."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from explainers.baselines import Flip, Shift
from explainers.baselines.training.settings.augment import AUGMENTATIONS
from explainers.errors import OptionError

IMAGE = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])  # 2 × 3
MIRRORED = torch.tensor([[3.0, 2.0, 1.0], [6.0, 5.0, 4.0]])
UPSIDE_DOWN = torch.tensor([[4.0, 5.0, 6.0], [1.0, 2.0, 3.0]])


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def many(count=64):
    return IMAGE.expand(count, 2, 2, 3).clone()


@pytest.mark.parametrize(("vertical", "changed"), [(False, MIRRORED), (True, UPSIDE_DOWN)])
def test_flip_mirrors_half_of_the_images_each_on_its_own(vertical, changed):
    made = Flip(vertical=vertical)(many(400), rng())
    flipped = (made == changed).flatten(1).all(1)
    same = (made == IMAGE).flatten(1).all(1)
    assert torch.equal(flipped, ~same)
    assert 160 < int(flipped.sum()) < 240  # four standard deviations around 200


def test_flip_takes_one_draw_below_one_half_for_each_image():
    drawn = torch.rand(64, generator=rng(3)) < 0.5
    made = Flip()(many(), rng(3))
    assert torch.equal((made == MIRRORED).flatten(1).all(1), drawn)


def moved(image, down, right, border):
    """The image moved by whole pixels, one at a time; what comes in is 0 or the border's repetition."""
    height, width = image.shape
    made = torch.empty_like(image)
    for row in range(height):
        for column in range(width):
            y, x = row - down, column - right
            if border:
                made[row, column] = image[min(max(y, 0), height - 1), min(max(x, 0), width - 1)]
            else:
                made[row, column] = image[y, x] if 0 <= y < height and 0 <= x < width else 0.0
    return made


@pytest.mark.parametrize("border", [False, True])
def test_shift_moves_each_image_on_its_own_by_every_step_up_to_its_pixels(border):
    made = Shift(1, repeat_border=border)(many(600), rng())
    steps = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    counts = {}
    for step in steps:
        expected = moved(IMAGE, *step, border).expand(2, 2, 3)
        counts[step] = sum(torch.equal(one, expected) for one in made)
    assert sum(counts.values()) == 600
    assert min(counts.values()) > 35  # 67 on average


def test_shift_by_hand():
    # Every drawn offset (y, x) is a crop of the padded image from there.
    offsets = torch.randint(5, (8, 2), generator=rng(1))
    made = Shift(2)(many(8), rng(1))
    for one, (y, x) in zip(made, offsets.tolist(), strict=True):
        assert torch.equal(one[0], F.pad(IMAGE, (2, 2, 2, 2))[y : y + 2, x : x + 3])
    assert len({tuple(pair) for pair in offsets.tolist()}) > 3


def test_shift_by_nothing_changes_nothing():
    assert torch.equal(Shift(0)(many(), rng()), many())


def test_a_negative_shift_is_refused():
    with pytest.raises(OptionError) as caught:
        Shift(-1)
    assert str(caught.value) == "pixels=-1; expected at least 0"


@pytest.mark.parametrize("augmentation", [*AUGMENTATIONS.values(), Shift(9), Shift(3, repeat_border=True)])
@pytest.mark.parametrize("shape", [(5, 1, 4, 7), (1, 3, 5, 5), (2, 2, 1, 1)])
def test_shape_type_and_input_stay_and_the_generator_alone_decides(augmentation, shape):
    images = torch.randn(shape)
    before, state = images.clone(), torch.get_rng_state()
    first, second = augmentation(images, rng(4)), augmentation(images, rng(4))
    assert first.shape == images.shape
    assert first.dtype == images.dtype
    assert torch.equal(first, second)
    assert torch.equal(images, before)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("augmentation", AUGMENTATIONS.values())
def test_one_generator_gives_other_changes_every_time(augmentation):
    images, source = torch.randn(32, 1, 8, 8), rng()
    assert not torch.equal(augmentation(images, source), augmentation(images, source))


def test_channels_of_an_image_move_together():
    images = torch.randn(16, 1, 6, 6).expand(16, 3, 6, 6)
    for augmentation in AUGMENTATIONS.values():
        made = augmentation(images, rng())
        assert torch.equal(made[:, 0], made[:, 1])
        assert torch.equal(made[:, 0], made[:, 2])


def test_settings_tell_augmentations_apart():
    records = [Flip(), Flip(vertical=True), Shift(), Shift(2), Shift(repeat_border=True)]
    assert len({repr(record.settings()) for record in records}) == len(records)
    assert Shift(2).settings() == {"kind": "Shift", "pixels": 2, "repeat_border": False}
