"""Heat maps that know nothing of the network. A score means something only beside theirs, so they are always there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.evaluation.measuring.fillings import image_seed

Control = Callable[[Tensor, Tensor], Tensor]


def controls(seed: int) -> dict[str, Control]:
    """Each control by its name, as (images (N, C, H, W), targets) → maps (N, H, W)."""

    def random(images: Tensor, targets: Tensor) -> Tensor:
        return random_maps(images, seed)

    return {
        "random": random,
        "center": lambda images, targets: center_maps(images),
        "edges": lambda images, targets: edge_maps(images),
    }


CONTROLS = tuple(controls(0))


PLAIN: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}  # whatever torch's defaults are


def random_maps(images: Tensor, seed: int) -> Tensor:
    """Independent uniform values, drawn from the seed and the content of each image."""
    size = images.shape[-2:]
    seeds = [torch.Generator().manual_seed(image_seed(image, seed)) for image in images]
    drawn = [torch.rand(size, generator=each, **PLAIN) for each in seeds]
    return torch.stack(drawn).to(images.device)


def center_maps(images: Tensor) -> Tensor:
    """1 in the middle of the image, falling in a straight line to 0 in its corners."""
    height, width = images.shape[-2:]
    y, x = (
        torch.linspace(-1, 1, length, **PLAIN) if length > 1 else torch.zeros(1, **PLAIN) for length in (height, width)
    )
    distance = torch.sqrt(y[:, None] ** 2 + x[None] ** 2)
    return (1 - distance / distance.max().clamp(min=1)).expand(len(images), -1, -1).to(images.device)


def edge_maps(images: Tensor) -> Tensor:
    """Length of the Sobel gradient of the channels' mean."""
    gray = images.detach().float().mean(dim=1, keepdim=True)
    across = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], dtype=gray.dtype, device=images.device)
    kernels = torch.stack([across, across.T])[:, None]
    return F.conv2d(F.pad(gray, (1, 1, 1, 1), mode="replicate"), kernels).norm(dim=1)
