"""Batches and the images in them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from explainers.baselines.training.batches import Examples, balanced_weights, batches
from explainers.core.preprocessing import Preprocessing
from explainers.data.data_set import Split
from explainers.errors import DataError


class Counted(Split):
    """Noise images that count how often each is read."""

    def __init__(self, sizes, labels=None) -> None:
        self.sizes = sizes
        self.names = [f"{index}.png" for index in range(len(sizes))]
        self.labels = labels or [index % 2 for index in range(len(sizes))]
        self.reads: Counter[int] = Counter()

    def pixels(self, index):
        self.reads[index] += 1
        return np.random.default_rng(index).integers(0, 256, (*self.sizes[index], 3), np.uint8)


HALF = Preprocessing(mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def flat(found):
    return [index for batch in found for index in batch]


@pytest.mark.parametrize(("count", "size"), [(12, 4), (14, 4), (3, 8), (2, 2)])
def test_natural_batches_hold_every_index_once(count, size):
    found = batches(torch.zeros(count, dtype=torch.long), size, "natural", rng())
    assert sorted(flat(found)) == list(range(count))
    assert [len(batch) for batch in found[:-1]] == [size] * (len(found) - 1)
    assert 1 <= len(found[-1]) <= size


def test_a_single_image_left_over_is_dropped():
    found = batches(torch.zeros(13, dtype=torch.long), 4, "natural", rng())
    assert [len(batch) for batch in found] == [4, 4, 4]
    assert len(set(flat(found))) == 12
    assert [len(batch) for batch in batches(torch.arange(13) % 3, 4, "balanced", rng())] == [4, 4, 4]


def test_natural_order_is_drawn_anew_and_from_the_generator_alone():
    labels, state, source = torch.zeros(50, dtype=torch.long), torch.get_rng_state(), rng(2)
    first, second = batches(labels, 8, "natural", source), batches(labels, 8, "natural", source)
    assert flat(first) != list(range(50))
    assert first != second
    assert batches(labels, 8, "natural", rng(2)) == first
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("counts", [(20, 20), (35, 4), (30, 7, 2), (1, 1, 40)])
@pytest.mark.parametrize("size", [4, 6, 7])
def test_balanced_batches_hold_classes_equally_often(counts, size):
    labels = torch.cat([torch.full((count,), label) for label, count in enumerate(counts)])
    found = batches(labels, size, "balanced", rng())
    for batch in found:
        seen = [int((labels[batch] == label).sum()) for label in range(len(counts))]
        assert max(seen) - min(seen) <= 1, seen
    total = sum(counts)
    assert len(flat(found)) in (total, total - 1)
    whole = [int((labels[flat(found)] == label).sum()) for label in range(len(counts))]
    assert max(whole) - min(whole) <= 1


@pytest.mark.parametrize("seed", range(3))
def test_a_rare_image_comes_again_only_when_all_of_its_class_were_used(seed):
    labels = torch.tensor([0] * 40 + [1] * 3 + [2] * 5)
    order = flat(batches(labels, 6, "balanced", rng(seed)))
    for label, count in ((0, 40), (1, 3), (2, 5)):
        own = [index for index in order if labels[index] == label]
        rounds = [own[start : start + count] for start in range(0, len(own), count)]
        assert all(len(set(each)) == len(each) for each in rounds)
        if label:
            assert len(rounds) > 2
            assert len({tuple(each) for each in rounds[:-1]}) > 1  # each round in an order of its own


def test_balanced_order_follows_from_the_generator():
    labels = torch.arange(30) % 3
    assert batches(labels, 6, "balanced", rng(1)) == batches(labels, 6, "balanced", rng(1))
    assert batches(labels, 6, "balanced", rng(1)) != batches(labels, 6, "balanced", rng(2))


def test_a_class_that_no_image_has_gets_no_place_in_a_batch():
    labels = torch.tensor([0] * 6 + [3] * 6)
    for batch in batches(labels, 4, "balanced", rng()):
        assert sorted(labels[batch].tolist()) == [0, 0, 3, 3]


@pytest.mark.parametrize("counts", [(5, 5), (30, 3), (8, 2, 1, 17)])
def test_balanced_weights_are_those_of_sklearn_up_to_their_mean(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    theirs = compute_class_weight("balanced", classes=np.arange(len(counts)), y=labels)
    ours = balanced_weights(torch.from_numpy(labels), len(counts))
    assert ours.dtype == torch.float32
    np.testing.assert_allclose(ours.numpy(), theirs / theirs.mean(), rtol=1e-6)
    assert float(ours.mean()) == pytest.approx(1)


def test_a_class_without_images_cannot_be_weighted():
    with pytest.raises(DataError) as caught:
        balanced_weights(torch.tensor([0, 2, 2]), 5)
    assert str(caught.value) == "no training image has class 1, 3, 4; it cannot be weighted"


def test_images_are_what_preprocessing_makes_in_the_order_asked_for():
    split = Counted([(4, 5)] * 6)
    examples = Examples(split, HALF)
    assert len(examples) == 6
    assert examples.shape == (3, 4, 5)
    assert examples.labels.tolist() == [0, 1, 0, 1, 0, 1]
    found = examples.images([5, 0, 0, 3])
    expected = torch.stack([HALF(split.pixels(index)) for index in (5, 0, 0, 3)])
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)
    assert torch.equal(examples.images([5, 0, 0, 3]), expected)
    assert torch.equal(examples.images(range(2)), torch.stack([HALF(split.pixels(index)) for index in (0, 1)]))


def test_what_is_kept_in_memory_is_read_once():
    split = Counted([(4, 5)] * 6)
    examples = Examples(split, HALF)
    for indices in ([0, 1, 2], [2, 2, 3], [5, 0], range(6), [4]):
        examples.images(indices)
    assert split.reads == {index: 1 for index in range(6)}


def test_the_first_image_which_tells_the_size_is_not_read_for_a_batch_again():
    split = Counted([(4, 5)] * 3)
    examples = Examples(split, HALF)
    assert split.reads == {0: 1}
    assert torch.equal(examples.images([0])[0], HALF(Counted([(4, 5)]).pixels(0)))
    assert split.reads == {0: 1}


def test_what_is_kept_cannot_be_changed_through_a_batch():
    examples = Examples(Counted([(4, 5)] * 3), HALF)
    before = examples.images([0, 1, 2]).clone()
    examples.images([0, 1, 2]).zero_()
    assert torch.equal(examples.images([0, 1, 2]), before)


def test_what_does_not_fit_is_read_again_and_is_the_same():
    size = 3 * 4 * 5 * 4
    small, large = Counted([(4, 5)] * 6), Counted([(4, 5)] * 6)
    read, kept = Examples(small, HALF, memory=6 * size - 1), Examples(large, HALF, memory=6 * size)
    small.reads.clear()
    for _ in range(3):
        assert torch.equal(read.images([1, 2, 1]), kept.images([1, 2, 1]))
    assert small.reads[2] == 3
    assert large.reads[2] == 1


@pytest.mark.parametrize("memory", [0, 2**31])
@pytest.mark.parametrize("batch", [1, 4, 64])
def test_mean_image_is_the_mean_of_all(memory, batch):
    split = Counted([(4, 5)] * 7)
    expected = torch.stack([HALF(split.pixels(index)) for index in range(7)]).double().mean(0)
    torch.testing.assert_close(Examples(split, HALF, memory=memory).mean_image(batch).double(), expected)


@pytest.mark.parametrize("memory", [0, 2**31])
def test_images_of_different_sizes_are_refused_by_name(memory):
    examples = Examples(Counted([(4, 5), (4, 5), (6, 5)]), HALF, memory=memory)
    with pytest.raises(DataError) as caught:
        examples.images([1, 2])
    assert str(caught.value) == (
        "2.png gives an input of (3, 6, 5), 0.png one of (3, 4, 5); training needs one size: give a crop, or a resize "
        "to height and width"
    )
    fitted = Examples(Counted([(4, 5), (4, 5), (6, 5)]), Preprocessing(resize=(3, 3)), memory=memory)
    assert fitted.images([0, 1, 2]).shape == (3, 3, 3, 3)


def test_an_empty_split_is_refused():
    with pytest.raises(DataError) as caught:
        Examples(Counted([]), HALF)
    assert str(caught.value) == "the training, validation or test split is empty; each needs at least one image"
