"""Where the image lies in what a network's layers see: torchvision's detectors add a border to it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def extent_of(network: Any, images: Tensor) -> tuple[float, float] | None:
    """Of the rows and columns that layers see, the share that the image covers, from the first; None is all of them.

    torchvision's detectors resize the image and fill it up with zeros below and on the right, to a multiple of 32.
    """
    modules = network.modules() if isinstance(network, nn.Module) else ()
    inner: Any = next((module for module in modules if hasattr(module, "batch_images")), None)
    if images.ndim != 4 or not hasattr(inner, "size_divisible"):
        return None
    with torch.no_grad():
        made, _ = inner([images[0].detach().clone()])
    (height, width), (rows, columns) = made.image_sizes[0], made.tensors.shape[-2:]
    return None if (height, width) == (rows, columns) else (height / rows, width / columns)
