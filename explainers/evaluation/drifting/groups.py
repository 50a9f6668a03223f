"""Which images a network is sure of: the groups of the over-training study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from explainers.errors import OptionError

GROUPS = ("A", "B", "C")  # clearly right, clearly wrong, undecided
PER_CLASS = (5, 5, 3)  # of A, of B, and of each list for C: 16 images of a class
SUM_SLACK = 5e-3  # of the sum of probabilities that were computed in half precision


def confidence_groups(
    probabilities: Any, labels: Any, per_class: Sequence[int] = PER_CLASS
) -> dict[str, dict[int, np.ndarray]]:
    """Images of which a network is clearly right (A), clearly wrong (B) and undecided (C), of each class.

    Of the images of a class, list A has those whose prediction is right, by the probability of the class; list B the
    others, by |largest probability - probability of the class|; both in descending order. Group A is the first five of
    list A, B the first five of list B, C the last three of list A and then the last three of list B.

    No image is in two groups: where a list is short, its first images go to A (or B) before any goes to C. Of equal
    images the earlier one stands first, and of equal probabilities the lower class is the prediction.

    Args:
        probabilities: (N, K), 0 … 1, each row summing to 1, of the reference network.
        labels: (N,) the right classes.
        per_class: how many images of a class go to A, to B, and from each list to C.

    Returns:
        group → class → (n,) indices of images, in the order of the lists; every class that occurs, also where a list is
        empty.

    Raises:
        OptionError: tables of other shapes or values.

    Source: the over-training study, eq. 5.

    >>> confidence_groups([[0.9, 0.1], [0.4, 0.6]], [0, 0], (1, 1, 1))["B"]
    {0: array([1])}
    """
    table, classes = _checked(probabilities, labels)
    own = np.take_along_axis(table, classes[:, None], axis=1)[:, 0]
    return grouped(own, table.max(axis=1), table.argmax(axis=1), classes, per_class)


def grouped(
    own: np.ndarray, largest: np.ndarray, predicted: np.ndarray, labels: np.ndarray, per_class: Sequence[int]
) -> dict[str, dict[int, np.ndarray]]:
    """The groups from what `confidence_groups` needs of a table of probabilities.

    Args:
        own, largest: (N,) probability of the right class, and the largest one; predicted, labels: (N,) classes.
    """
    clear_right, clear_wrong, undecided = _counts(per_class)
    found: dict[str, dict[int, np.ndarray]] = {group: {} for group in GROUPS}
    for label in np.unique(labels).tolist():
        rows = np.flatnonzero(labels == label)
        right = rows[predicted[rows] == label]
        wrong = rows[predicted[rows] != label]
        right = right[np.argsort(-own[right], kind="stable")]
        wrong = wrong[np.argsort(-np.abs(largest[wrong] - own[wrong]), kind="stable")]
        found["A"][label], found["B"][label] = right[:clear_right], wrong[:clear_wrong]
        left = (right[clear_right:], wrong[clear_wrong:])
        found["C"][label] = np.concatenate([each[max(0, len(each) - undecided) :] for each in left])
    return found


def members(groups: Mapping[str, Mapping[int, np.ndarray]]) -> dict[str, np.ndarray]:
    """group → indices of its images over all classes, class by class; groups without images are left out."""
    joined = {
        name: np.concatenate([np.zeros(0, np.int64), *by_class.values()]).astype(np.int64)
        for name, by_class in groups.items()
    }
    return {name: rows for name, rows in joined.items() if len(rows)}


def _counts(per_class: Sequence[int]) -> tuple[int, int, int]:
    counts = tuple(per_class)
    whole = all(isinstance(each, (int, np.integer)) and not isinstance(each, bool) and each >= 0 for each in counts)
    if len(counts) != 3 or not whole:
        raise OptionError(
            f"per_class={per_class!r}; expected three whole numbers: images of A, of B, and of each list for C"
        )
    return int(counts[0]), int(counts[1]), int(counts[2])


def _checked(probabilities: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    table, classes = _array(probabilities).astype(np.float64), _array(labels)
    if table.ndim != 2 or classes.shape != table.shape[:1]:
        raise OptionError(
            f"probabilities of shape {table.shape} and labels of shape {classes.shape}; expected (N, K) and (N,)"
        )
    if not np.isfinite(table).all() or (len(table) and (table.min() < 0 or table.max() > 1 + SUM_SLACK)):
        raise OptionError("probabilities below 0, above 1 or not finite; expected those of a softmax")
    if len(table) and np.abs(table.sum(axis=1) - 1).max() > SUM_SLACK:
        worst = int(np.abs(table.sum(axis=1) - 1).argmax())
        raise OptionError(
            f"the probabilities of image {worst} sum to {table[worst].sum():.4g}; the groups need classes that exclude "
            "each other, whose probabilities sum to 1"
        )
    if classes.dtype.kind not in "iu":
        raise OptionError(f"labels are {classes.dtype}; expected whole numbers, the indices of classes")
    if len(classes) and (classes.min() < 0 or classes.max() >= table.shape[1]):
        strange = int(classes.max() if classes.min() >= 0 else classes.min())
        raise OptionError(f"label {strange} is out of range: there are classes 0 … {table.shape[1] - 1}")
    return table, classes.astype(np.int64)


def _array(values: Any) -> np.ndarray:
    """An array of a list, an array or a tensor on any device."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
