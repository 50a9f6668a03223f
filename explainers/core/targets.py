"""From what a user asks for to target classes (N, K)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from explainers.errors import TargetError
from explainers.targets import Target, as_objects, holds_targets
from explainers.targets.chosen import chosen_classes

NOT = "not"  # the other class of a network with one score


def resolve_targets(targets: Any, scores: Tensor) -> Tensor:
    """Target classes (N, K) for scores (N, classes).

    Args:
        targets: None (the class with the largest score), an int, (N,) classes, (N, K) classes, or a function from
            scores (N, classes) to (N, K) classes.

    Raises:
        TargetError: not integers, outside 0 … classes - 1, or not one row per image.
    """
    count, classes = scores.shape
    if targets is None:
        return scores.detach().argmax(dim=1, keepdim=True)
    if callable(targets):
        targets = chosen_classes(targets, scores)
    try:
        wanted = as_indices(targets)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TargetError(f"targets={targets!r} are not class indices: {error}") from error
    if wanted.is_meta:
        raise TargetError("the targets are on the meta device, which has shapes and no values; pass the values")
    if wanted.dtype == torch.bool or wanted.is_floating_point() or wanted.is_complex():
        raise TargetError(f"targets must be integer class indices, got {wanted.dtype}")
    if wanted.ndim > 2:
        raise TargetError(f"targets have shape {tuple(wanted.shape)}; expected none, (N,) or (N, K)")
    if wanted.ndim == 0:
        wanted = wanted.expand(count, 1)
    elif wanted.ndim == 1:
        wanted = wanted[:, None]
    if len(wanted) != count:
        raise TargetError(f"{len(wanted)} targets for {count} images; give one int for all, (N,) or (N, K)")
    if wanted.shape[1] == 0:
        raise TargetError("targets of shape (N, 0) name no class")
    outside = wanted[(wanted < 0) | (wanted >= classes)]
    if len(outside):
        raise TargetError(f"target {int(outside[0])} is out of range: the network has classes 0 … {classes - 1}")
    # A copy, because classes chosen under inference_mode cannot take part in a graph.
    return wanted.clone().to(device=scores.device, dtype=torch.int64)


class SeenTargets:
    """Targets that remember the scores they were chosen from, so that choosing costs no forward pass of its own.

    Pass it as `targets` to the first explainer of a batch and its `classes` to all others.

    Args:
        target: None (the predicted class), an index, or (N,) indices; top_k: how many of the best classes, where it is
            more than one.
    """

    def __init__(self, target: int | Tensor | None, top_k: int = 1) -> None:
        self.target, self.top_k = target, top_k
        self.scores: Tensor | None = None
        self.classes: Tensor | None = None

    def __call__(self, scores: Tensor) -> Tensor:
        """(N, K) classes for scores (N, classes)."""
        if self.top_k > 1:
            classes = scores.topk(min(self.top_k, scores.shape[1]), dim=1).indices
        else:
            classes = resolve_targets(self.target, scores)
        self.scores, self.classes = scores, classes
        return classes


def as_indices(targets: Any) -> Tensor:
    """A tensor of what was given, on the CPU unless it is one, whatever torch's default device is."""
    return targets if isinstance(targets, Tensor) else torch.as_tensor(targets, device="cpu")


def of_rows(targets: Any, rows: Sequence[int], count: int) -> Any:
    """What `targets` says of some of `count` images.

    Raises:
        TargetError: they are of another number of images.
    """
    if targets is None or isinstance(targets, (int, Target)) or callable(targets):
        return targets
    wanted = targets if holds_targets(targets) else as_indices(targets)
    if (isinstance(wanted, Tensor) and wanted.ndim == 0) or len(wanted) != count:
        told = f" of shape {tuple(wanted.shape)}" if isinstance(wanted, Tensor) else f" of {len(wanted)} images"
        raise TargetError(f"targets{told} for {count} images")
    if isinstance(wanted, (list, tuple)):
        return as_objects([wanted[row] for row in rows])
    return wanted[rows]


def is_per_image(targets: Any) -> bool:
    """Whether `targets` names one class per image, so that the result has no class dimension."""
    if targets is None or isinstance(targets, int):
        return True
    return not callable(targets) and as_indices(targets).ndim < 2
