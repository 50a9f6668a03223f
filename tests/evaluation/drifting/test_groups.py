"""The groups of the over-training study, on tables made by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from explainers.errors import OptionError
from explainers.evaluation import confidence_groups
from explainers.evaluation.drifting.groups import members


def two(*first: float) -> np.ndarray:
    """Rows of two classes from the probability of class 0."""
    return np.array([[each, 1 - each] for each in first])


def plain(groups):
    return {group: {label: rows.tolist() for label, rows in found.items()} for group, found in groups.items()}


def slow(probabilities, labels, per_class):
    """Equation (5) by sorting tuples, image by image."""
    found = {"A": {}, "B": {}, "C": {}}
    for label in sorted(set(labels)):
        lists = {True: [], False: []}
        for index, (row, own) in enumerate(zip(probabilities, labels, strict=True)):
            if own == label:
                right = list(row).index(max(row)) == label
                lists[right].append((-row[label] if right else -abs(max(row) - row[label]), index))
        right, wrong = ([index for _, index in sorted(lists[kind])] for kind in (True, False))
        a, b, c = per_class
        found["A"][label], found["B"][label] = right[:a], wrong[:b]
        rest = right[a:], wrong[b:]
        found["C"][label] = [index for each in rest for index in (each[-c:] if c else [])]
    return found


def test_sixteen_images_of_a_class_by_hand():
    # class 0: right at 0.9 … 0.55 (images 0-8), wrong at 0.45 … 0.05 (images 9-17), shuffled by hand
    right = [0.55, 0.95, 0.6, 0.9, 0.65, 0.85, 0.7, 0.8, 0.75]
    wrong = [0.45, 0.05, 0.4, 0.1, 0.35, 0.15, 0.3, 0.2, 0.25]
    groups = plain(confidence_groups(two(*right, *wrong), np.zeros(18, int)))
    assert groups == {
        "A": {0: [1, 3, 5, 7, 8]},  # 0.95 0.9 0.85 0.8 0.75
        "B": {0: [10, 12, 14, 16, 17]},  # 0.05 0.1 0.15 0.2 0.25, differences 0.9 … 0.5
        "C": {0: [4, 2, 0, 13, 11, 9]},  # 0.65 0.6 0.55, and 0.35 0.4 0.45
    }


def test_wrong_images_are_ordered_by_the_largest_probability_less_their_own():
    table = [[0.1, 0.8, 0.1], [0.3, 0.4, 0.3], [0.0, 0.5, 0.5]]  # differences 0.7, 0.1, 0.5
    assert plain(confidence_groups(table, [0, 0, 0], (0, 2, 1))) == {"A": {0: []}, "B": {0: [0, 2]}, "C": {0: [1]}}


def test_each_class_has_lists_of_its_own():
    table = two(0.9, 0.2, 0.3, 0.6)
    groups = plain(confidence_groups(table, [0, 1, 0, 1], (1, 1, 1)))
    assert groups == {"A": {0: [0], 1: [1]}, "B": {0: [2], 1: [3]}, "C": {0: [], 1: []}}


@pytest.mark.parametrize(
    ("count", "clear", "undecided"),
    [
        (0, [], []),
        (1, [0], []),
        (5, [0, 1, 2, 3, 4], []),
        (6, [0, 1, 2, 3, 4], [5]),
        (7, [0, 1, 2, 3, 4], [5, 6]),
        (8, [0, 1, 2, 3, 4], [5, 6, 7]),
        (9, [0, 1, 2, 3, 4], [6, 7, 8]),
    ],
)
def test_of_fewer_than_eight_images_the_clear_ones_are_taken_first_and_none_twice(count, clear, undecided):
    right = two(*(0.95 - 0.03 * place for place in range(count)), 0.1)
    assert plain(confidence_groups(right, [0] * (count + 1)))["A"] == {0: clear}
    assert plain(confidence_groups(right, [0] * (count + 1)))["C"] == {0: undecided}
    wrong = two(*(0.05 + 0.03 * place for place in range(count)), 0.9)
    assert plain(confidence_groups(wrong, [0] * (count + 1)))["B"] == {0: clear}
    assert plain(confidence_groups(wrong, [0] * (count + 1)))["C"] == {0: undecided}


def test_of_equal_images_the_earlier_one_stands_first():
    groups = plain(confidence_groups(two(*[0.7] * 9), np.zeros(9, int)))
    assert groups["A"] == {0: [0, 1, 2, 3, 4]}
    assert groups["C"] == {0: [6, 7, 8]}


def test_of_equal_probabilities_the_lower_class_is_the_prediction():
    groups = plain(confidence_groups(two(0.5, 0.5), [0, 1]))
    assert (groups["A"], groups["B"]) == ({0: [0], 1: []}, {0: [], 1: [1]})


def test_groups_equal_a_slow_form_on_coarse_probabilities_full_of_ties():
    rng = np.random.default_rng(0)
    counts = rng.multinomial(8, [0.25] * 4, size=203)
    labels = rng.integers(0, 4, 203)
    for per_class in ((5, 5, 3), (1, 9, 0), (0, 0, 4)):
        made = plain(confidence_groups(counts / 8, labels, per_class))
        assert made == slow((counts / 8).tolist(), labels.tolist(), per_class)


def test_no_image_is_in_two_groups_and_tensors_are_taken():
    rng = torch.Generator().manual_seed(0)
    table = torch.rand(77, 3, generator=rng).softmax(dim=1)
    joined = members(confidence_groups(table, torch.randint(3, (77,), generator=rng)))
    together = np.concatenate(list(joined.values()))
    assert len(set(together.tolist())) == len(together)


def test_members_leave_out_groups_without_images():
    assert list(members(confidence_groups(two(0.9, 0.8), [0, 0]))) == ["A"]


@pytest.mark.parametrize(
    ("table", "labels", "more", "words"),
    [
        ([[0.5, 0.5]], [0, 1], {}, r"\(1, 2\) and labels of shape \(2,\)"),
        ([[0.9, 0.9]], [0], {}, "image 0 sum to 1.8"),
        ([[np.nan, 0.5]], [0], {}, "not finite"),
        ([[0.5, 0.5]], [2], {}, "label 2 is out of range: there are classes 0 … 1"),
        ([[0.5, 0.5]], [-1], {}, "label -1 is out of range"),
        ([[0.5, 0.5]], [0.0], {}, "labels are float64"),
        ([[0.5, 0.5]], [0], {"per_class": (5, 5)}, "three whole numbers"),
        ([[0.5, 0.5]], [0], {"per_class": (5, -1, 3)}, "three whole numbers"),
    ],
)
def test_other_tables_are_refused(table, labels, more, words):
    with pytest.raises(OptionError, match=words):
        confidence_groups(table, labels, **more)
