"""Changes of training images that leave their class: each takes a batch and what it draws from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.errors import OptionError, TrainingError


class Augmentation(ABC):
    """From a batch (N, C, H, W) to another of the same shape."""

    @abstractmethod
    def __call__(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """A changed copy; each image is changed on its own."""

    def on_maps(self, maps: Tensor, rng: torch.Generator) -> Tensor:
        """Maps (N, 1, H, W) over these images, moved as the images are with what `rng` gives; by default not known.

        Raises:
            TrainingError: it is not known how.
        """
        raise TrainingError(
            f"{type(self).__name__} says nothing of maps over its images; give it a method on_maps(maps, rng), or "
            "leave it out"
        )

    def settings(self) -> dict[str, Any]:
        """Plain values that tell this one from others."""
        return {"kind": type(self).__name__, **vars(self)}


@dataclass(frozen=True)
class Flip(Augmentation):
    """Half of the images mirrored, left to right or (`vertical`) upside down."""

    vertical: bool = False

    def __call__(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Each with probability one half."""
        chosen = (torch.rand(len(images), generator=rng) < 0.5).to(images.device)
        return torch.where(chosen[:, None, None, None], images.flip(2 if self.vertical else 3), images)

    def on_maps(self, maps: Tensor, rng: torch.Generator) -> Tensor:
        """Mirrored with their images."""
        return self(maps, rng)


@dataclass(frozen=True)
class Shift(Augmentation):
    """Moved by up to `pixels` in each direction; what comes in is 0, the data's mean colour, or the repeated border."""

    pixels: int = 4
    repeat_border: bool = False

    def __post_init__(self) -> None:
        if self.pixels < 0:
            raise OptionError(f"pixels={self.pixels}; expected at least 0")

    def __call__(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Padding and a random crop of the old size."""
        size, pad = images.shape[2:], self.pixels
        mode = "replicate" if self.repeat_border else "constant"
        wide = F.pad(images, (pad, pad, pad, pad), mode=mode)
        offsets = torch.randint(2 * pad + 1, (len(images), 2), generator=rng).tolist()
        crops = [one[:, y : y + size[0], x : x + size[1]] for one, (y, x) in zip(wide, offsets, strict=True)]
        return torch.stack(crops)

    def on_maps(self, maps: Tensor, rng: torch.Generator) -> Tensor:
        """Moved with their images; what comes in is 0, or the repeated border."""
        return self(maps, rng)


AUGMENTATIONS: dict[str, Augmentation] = {
    "flip": Flip(),
    "vertical-flip": Flip(vertical=True),
    "shift": Shift(),
}
