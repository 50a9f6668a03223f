"""A way around torch's backward pass of batch norm, which is wrong for a single image on a CPU."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


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
