"""Which classes are wrong for each image."""

from __future__ import annotations

import torch
from torch import Tensor

from explainers.errors import OptionError


def wrong_classes(labels: Tensor, count: int, classes: int) -> Tensor:
    """(count, classes) bool: every class but the image's own.

    Args:
        labels: (count,) whole numbers, 0 … classes - 1.

    Raises:
        OptionError: labels that do not fit, or a single class, besides which there is no wrong one.
    """
    if classes < 2:
        raise OptionError(f"{classes} class; expected at least 2, since with one there is no wrong class")
    if labels.shape != (count,) or labels.is_floating_point():
        raise OptionError(
            f"labels of shape {tuple(labels.shape)} and {labels.dtype}; expected ({count},) whole numbers, one an image"
        )
    if count and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise OptionError(f"labels {int(labels.min())} … {int(labels.max())}; expected 0 … {classes - 1}")
    return labels[:, None] != torch.arange(classes, device=labels.device)
