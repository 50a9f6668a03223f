"""Gradients of target scores, without touching anybody's `.grad`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from explainers.errors import UnsupportedError

NO_GRADIENT = (
    "the scores carry no gradient: the network runs under no_grad, detaches its features, or is a black box. "
    "Remove that, or use a method that needs forward passes alone (rise, occlusion)"
)


def target_gradients(
    scores: Tensor, classes: Tensor, inputs: Sequence[Tensor], *, retain: bool = False, unused: bool = False
) -> list[Tensor]:
    """∂S_c/∂input for each image and each of its K target classes.

    Args:
        scores: (N, classes), with a graph to the inputs.
        classes: (N, K).
        inputs: tensors (N, …) of that graph.
        retain: keep the graph for another backward pass.
        unused: inputs that the scores do not depend on get zeros.

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
        try:
            with sound_batch_norm(scores):
                grads = torch.autograd.grad(total, inputs, retain_graph=retain or k < last, allow_unused=True)
        except RuntimeError as error:
            if "heckpoint" not in str(error):
                raise
            raise UnsupportedError(
                "the network checkpoints its activations in the reentrant form, which allows no gradient of an input; "
                "use checkpoint(…, use_reentrant=False), or switch checkpointing off"
            ) from error
        if not unused and any(grad is None for grad in grads):
            raise UnsupportedError(NO_GRADIENT)
        filled = [torch.zeros_like(value) if grad is None else grad for value, grad in zip(inputs, grads, strict=True)]
        per_class.append(tuple(filled))
    return [torch.stack(grads, dim=1) for grads in zip(*per_class, strict=True)]


class SoundBatchNorm(TorchDispatchMode):
    """Inside, the backward pass of batch norm is right for a single image on a CPU too.

    Torch's kernel (seen in 2.15) reads the gradient in the wrong order where there is one image and the gradient comes
    out of a product of transposed matrices, as behind a step from feature maps to tokens: its strides then fit two
    memory formats. A contiguous gradient is read right.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.native_batch_norm_backward.default:
            args = (args[0].contiguous(), *args[1:])
        return func(*args, **(kwargs or {}))


def sound_batch_norm(images: Tensor) -> AbstractContextManager[Any]:
    """`SoundBatchNorm` where it is needed: for what comes out of one image on a CPU."""
    needed = len(images) == 1 and images.device.type == "cpu"
    return SoundBatchNorm() if needed else nullcontext()
