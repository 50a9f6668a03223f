"""Heat maps that know nothing of the network. A score means something only beside theirs, so they are always there.

Of detections a map of another box is a control as well, which knows the network and not the box.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.evaluation.measuring.fillings import image_seed

Control = Callable[[Tensor, Tensor], Tensor]


def controls(seed: int) -> dict[str, Control]:
    """Each control by its name, as (images (N, C, *axes), targets) → maps (N, *axes)."""

    def random(images: Tensor, targets: Tensor) -> Tensor:
        return random_maps(images, seed)

    return {
        "random": random,
        "center": lambda images, targets: center_maps(images),
        "edges": lambda images, targets: edge_maps(images),
    }


CONTROLS = tuple(controls(0))
OTHER_BOX = "another box"  # the title, or its end, of the same method's map of another detection


def is_control(title: str) -> bool:
    """Whether an explainer is there to be better than, by its title."""
    return title in CONTROLS or title == OTHER_BOX or title.endswith(f", {OTHER_BOX}")


PLAIN: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}  # whatever torch's defaults are


def random_maps(images: Tensor, seed: int) -> Tensor:
    """Independent uniform values, drawn from the seed and the content of each image."""
    size = images.shape[2:]
    seeds = [torch.Generator().manual_seed(image_seed(image, seed)) for image in images]
    drawn = [torch.rand(size, generator=each, **PLAIN) for each in seeds]
    return torch.stack(drawn).to(images.device)


def center_maps(images: Tensor) -> Tensor:
    """1 in the middle of the image, falling in a straight line to 0 in its corners."""
    size = images.shape[2:]
    squares = torch.zeros(size, **PLAIN)
    for axis, length in enumerate(size):
        places = torch.linspace(-1, 1, length, **PLAIN) if length > 1 else torch.zeros(1, **PLAIN)
        squares = squares + places.view([-1 if each == axis else 1 for each in range(len(size))]) ** 2
    distance = squares.sqrt()
    return (1 - distance / distance.max().clamp(min=1)).repeat(len(images), *[1] * len(size)).to(images.device)


def edge_maps(images: Tensor) -> Tensor:
    """Length of the Sobel gradient of the channels' mean, along each axis smoothed along the others."""
    gray = images.detach().float().mean(dim=1, keepdim=True)
    axes = gray.ndim - 2
    kernels = torch.stack([_sobel(axis, axes) for axis in reversed(range(axes))])[:, None].to(gray)
    return CONVOLVED[axes](F.pad(gray, [1] * (2 * axes), mode="replicate"), kernels).norm(dim=1)


CONVOLVED = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def _sobel(axis: int, axes: int) -> Tensor:
    """(3, …) the difference along one axis, weighed (1, 2, 1) along the others."""
    kernel = torch.ones([1] * axes, **PLAIN)
    for each in range(axes):
        values = torch.tensor([-1.0, 0, 1] if each == axis else [1.0, 2, 1], **PLAIN)
        kernel = kernel * values.view([-1 if place == each else 1 for place in range(axes)])
    return kernel
