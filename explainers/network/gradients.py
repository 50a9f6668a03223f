"""Gradients of target scores, without touching anybody's `.grad`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from explainers.errors import UnsupportedError
from explainers.network.as_found.batch_norm_backward import sound_batch_norm

NO_GRADIENT = (
    "the scores carry no gradient: the network runs under no_grad, detaches its features, is quantised, or is a black "
    "box, or a function of yours leaves torch (.item(), .detach(), NumPy). Remove that, or use a method that needs "
    "forward passes alone (rise, occlusion)"
)
# What torch says of an operation, or of a function of the user's, whose gradient nobody has written.
NO_BACKWARD = ("is not implemented", "once_differentiable", "is not differentiable")
CHANGED = "inplace operation"  # torch, of values that a backward pass needs


def target_gradients(
    scores: Tensor,
    classes: Tensor,
    inputs: Sequence[Tensor],
    *,
    retain: bool = False,
    unused: bool = False,
    differentiable: bool = False,
) -> list[Tensor]:
    """∂S_c/∂input for each image and each of its K target classes.

    Args:
        scores: (N, classes), with a graph to the inputs.
        classes: (N, K).
        inputs: tensors (N, …) of that graph.
        retain: keep the graph for another backward pass.
        unused: inputs that the scores do not depend on get zeros, if they depend on any.
        differentiable: the gradients have a graph of their own, to the weights too; it is kept.

    Returns:
        One (N, K, …) per input.

    Raises:
        UnsupportedError: the scores do not depend on an input through the graph.

    Cost: K backward passes from the scores to the earliest input.
    """
    if not scores.requires_grad:
        raise UnsupportedError(NO_GRADIENT)
    per_class: list[tuple[Tensor, ...]] = []
    last = classes.shape[1] - 1
    for k in range(classes.shape[1]):
        total = scores.gather(1, classes[:, k : k + 1]).sum()
        with sound_batch_norm(scores):
            grads = gradients_of(total, inputs, retain=retain or k < last, differentiable=differentiable)
        lost = [grad is None for grad in grads]
        if all(lost) or (any(lost) and not unused):
            raise UnsupportedError(NO_GRADIENT)
        filled = [torch.zeros_like(value) if grad is None else grad for value, grad in zip(inputs, grads, strict=True)]
        per_class.append(tuple(filled))
    return [torch.stack(grads, dim=1) for grads in zip(*per_class, strict=True)]


def gradients_of(
    total: Tensor, inputs: Sequence[Tensor], *, retain: bool = False, differentiable: bool = False
) -> tuple[Tensor | None, ...]:
    """∂total/∂input of each input, None where it has no part in the total.

    Raises:
        UnsupportedError: what is on the way has no gradient: an operation or a function without a backward pass,
            or reentrant checkpoints of a package of their own.
    """
    try:
        return torch.autograd.grad(
            total, inputs, retain_graph=retain or differentiable, create_graph=differentiable, allow_unused=True
        )
    except RuntimeError as error:  # NotImplementedError is one
        if isinstance(error, NotImplementedError) or any(sign in str(error) for sign in NO_BACKWARD):
            first = str(error).strip().partition("\n")[0]
            raise UnsupportedError(
                f"a part of the network has no backward pass, so that nothing in front of it has a gradient: {first} "
                "Use a method that needs forward passes alone (rise, occlusion)"
            ) from error
        if CHANGED in str(error):
            raise UnsupportedError(
                "the network has no gradient: it changes values in place that torch needs for one, so that its own "
                "backward() fails, too; write those steps out of place, or use a method that needs forward passes "
                "alone (rise, occlusion)"
            ) from error
        if "heckpoint" not in str(error):
            raise
        raise UnsupportedError(
            "the network checkpoints its activations in the reentrant form, which allows no gradient of an input; "
            "use checkpoint(…, use_reentrant=False), or switch checkpointing off"
        ) from error


def has_gradient(total: Tensor, images: Tensor) -> bool:
    """Whether a graph leads from a total to the images."""
    try:
        return gradients_of(total, [images])[0] is not None
    except UnsupportedError as error:
        if CHANGED not in str(error.__cause__):
            raise
        return True  # something was changed in place on the way back, so there is a way
