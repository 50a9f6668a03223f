"""Scores of predicted classes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def top_accuracy(logits: Tensor, labels: Tensor, best: int = 5) -> float:
    """Share of images whose label is among the `best` classes with the largest logits, 0 … 1.

    Args:
        logits: (N, classes), of more classes than `best`; labels: (N,) class indices.
    """
    found = logits.topk(best, dim=1).indices == labels[:, None]
    return float(found.any(dim=1).double().mean())


def classification_scores(predicted: Tensor, labels: Tensor, classes: int) -> dict[str, Any]:
    """Accuracy and what rare classes need beside it.

    Args:
        predicted, labels: (N,) class indices below `classes`.

    Returns:
        accuracy: 0 … 1; balanced_accuracy: mean recall of the classes that occur, 0 … 1; tss: true skill statistic,
        recall of class 1 less its false alarm rate, -1 … 1, for two classes that both occur, else None.
    """
    confusion = torch.zeros(classes, classes, dtype=torch.long)
    confusion.index_put_((labels, predicted), torch.ones(len(labels), dtype=torch.long), accumulate=True)
    counts = confusion.sum(dim=1)
    recalls = confusion.diagonal()[counts > 0].double() / counts[counts > 0]
    return {
        "accuracy": float(confusion.diagonal().sum()) / len(labels),
        "balanced_accuracy": float(recalls.mean()),
        "tss": float(recalls.sum() - 1) if classes == 2 and len(recalls) == 2 else None,
    }
