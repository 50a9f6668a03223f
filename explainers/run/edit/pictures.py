"""Between a map's cells, the network's input and a picture that a person can paint on."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.core.preprocessing import Preprocessing

SIDE = 448  # pixels of the shorter side, at least


def picture_size(cells: tuple[int, int], image: tuple[int, int], side: int = SIDE) -> tuple[int, int]:
    """(height, width) of a picture of a map: whole pixels a cell, no smaller than the input nor than `side`.

    Args:
        cells: (h, w) of the map; image: (H, W) of the network's input.

    >>> picture_size((14, 14), (224, 224)), picture_size((5, 7), (40, 56)), picture_size((64, 64), (512, 512))
    ((448, 448), (450, 630), (512, 512))
    """
    (h, w), (height, width) = cells, image
    times = max(-(-side // min(h, w)), -(-height // h), -(-width // w))
    return h * times, w * times


def gray_picture(map_: Tensor, size: tuple[int, int]) -> np.ndarray:
    """A map (h, w) in 0 … 1 as gray levels (height, width) uint8, 0 black and 1 white, each cell a flat rectangle.

    Args:
        size: of the picture.
    """
    enlarged = F.interpolate(map_.detach().float().cpu()[None, None], size=size, mode="nearest-exact")[0, 0]
    return (enlarged * 255).round().clamp(0, 255).to(torch.uint8).numpy()


def photo_picture(image: Tensor, preprocessing: Preprocessing, size: tuple[int, int]) -> np.ndarray:
    """What the network sees of a photo, (height, width, 3) uint8 RGB: its input with the normalisation undone.

    Args:
        image: (C, H, W) as `preprocessing` makes it; size: of the picture.
    """
    mean, std = (torch.tensor(each, device="cpu")[:, None, None] for each in (preprocessing.mean, preprocessing.std))
    raw = (image.detach().float().cpu() * std + mean).clamp(0, 1)
    enlarged = F.interpolate(raw[None], size=size, mode="bicubic", align_corners=False, antialias=True)[0].clamp(0, 1)
    return (enlarged.expand(3, -1, -1).permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()


def over_input(gray: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Gray levels (height, width) uint8 as a map (H, W) float32 in 0 … 1: each pixel of the input has the mean of what
    lies over it.

    Args:
        size: (H, W) of the network's input.
    """
    field = torch.from_numpy(gray.astype(np.float32))[None, None] / 255
    return F.interpolate(field, size=size, mode="area")[0, 0].numpy()


def as_cells(map_: np.ndarray | Tensor, cells: tuple[int, int]) -> Tensor:
    """A map (H, W) over the network's input as (1, 1, h, w), each cell the mean over its area: what
    `forward_branches(images, attention_map=…)` takes.

    Args:
        cells: (h, w) of the network's features.
    """
    return F.interpolate(torch.as_tensor(map_, device="cpu").float()[None, None], size=cells, mode="area").clamp(0, 1)


def digest(pixels: np.ndarray) -> str:
    """SHA-256 of gray levels and their size, whatever a file packs them into."""
    head = f"{pixels.shape[0]} {pixels.shape[1]} ".encode()
    return hashlib.sha256(head + np.ascontiguousarray(pixels, np.uint8).tobytes()).hexdigest()
