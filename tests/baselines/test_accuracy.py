"""Scores of predicted classes: against scikit-learn, and the true skill statistic by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, top_k_accuracy_score

from explainers.baselines.training.accuracy import classification_scores, top_accuracy


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_accuracies_are_those_of_sklearn(classes, seed):
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, 60, p=np.arange(1, classes + 1) / np.arange(1, classes + 1).sum())
    predicted = np.where(rng.random(60) < 0.6, labels, rng.integers(0, classes, 60))
    scores = classification_scores(torch.from_numpy(predicted), torch.from_numpy(labels), classes)
    assert scores["accuracy"] == pytest.approx(accuracy_score(labels, predicted))
    assert scores["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert (scores["tss"] is None) == (classes != 2)
    json.dumps(scores)


def test_true_skill_statistic_is_recall_less_false_alarm_rate():
    labels = torch.tensor([1, 1, 1, 1, 0, 0, 0, 0, 0])
    predicted = torch.tensor([1, 1, 1, 0, 0, 0, 0, 1, 1])
    scores = classification_scores(predicted, labels, 2)
    assert scores["tss"] == pytest.approx(3 / 4 - 2 / 5)
    assert scores["accuracy"] == pytest.approx(6 / 9)
    assert scores["balanced_accuracy"] == pytest.approx((3 / 4 + 3 / 5) / 2)


@pytest.mark.parametrize(
    ("predicted", "tss"), [((0, 0, 1), 1.0), ((1, 1, 0), -1.0), ((0, 0, 0), 0.0), ((1, 1, 1), 0.0)]
)
def test_true_skill_statistic_of_the_extremes(predicted, tss):
    assert classification_scores(torch.tensor(predicted), torch.tensor([0, 0, 1]), 2)["tss"] == tss


def test_rare_classes_count_as_much_as_others_in_balanced_accuracy():
    scores = classification_scores(torch.zeros(100, dtype=torch.long), torch.tensor([0] * 99 + [1]), 2)
    assert scores == {"accuracy": 0.99, "balanced_accuracy": 0.5, "tss": 0.0}


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_a_class_that_no_image_has_is_left_out_of_the_mean_even_where_it_is_predicted():
    labels, predicted = torch.tensor([0, 0, 2, 2]), torch.tensor([0, 1, 2, 2])
    scores = classification_scores(predicted, labels, 4)
    assert scores["balanced_accuracy"] == pytest.approx((1 / 2 + 1) / 2)
    assert scores["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, predicted))


def test_without_one_of_two_classes_there_is_no_skill_to_speak_of():
    for label in (0, 1):
        scores = classification_scores(torch.tensor([0, 1]), torch.tensor([label, label]), 2)
        assert scores == {"accuracy": 0.5, "balanced_accuracy": 0.5, "tss": None}


@pytest.mark.parametrize("best", [1, 3, 5])
def test_top_accuracy_is_that_of_sklearn(best):
    rng = np.random.default_rng(best)
    logits, labels = rng.normal(size=(80, 9)), rng.integers(0, 9, 80)
    found = top_accuracy(torch.from_numpy(logits), torch.from_numpy(labels), best)
    assert found == pytest.approx(top_k_accuracy_score(labels, logits, k=best, labels=range(9)))


def test_top_accuracy_by_hand():
    logits = torch.tensor([[6.0, 5, 4, 3, 2, 1], [6.0, 5, 4, 3, 2, 1]])
    assert top_accuracy(logits, torch.tensor([4, 5])) == 0.5
