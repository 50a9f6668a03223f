"""Generated images with a known answer: real handwritten digits on real photographs, and where the digit is.

The digits and the photographs are those that scikit-learn ships. Training and test images share no handwritten digit
and no part of a photograph. An image depends on (seed, split, index) alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.data.images import write_image
from explainers.errors import DependencyError, OptionError

SIZE = 96
CLASSES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEST_DIGITS = 400
TEST_SHARE = 0.3  # of each photograph's width, at its right


@dataclass(frozen=True)
class Digit:
    """One generated image.

    pixels: (3, 96, 96) uint8; mask: (96, 96) bool, the strokes of the digit; label: 0 … 9; source: index of the
    handwritten digit in scikit-learn's set.
    """

    pixels: Tensor
    mask: Tensor
    label: int
    source: int


def digit(index: int, *, split: str = "test", seed: int = 0) -> Digit:
    """Image `index` of a split.

    Args:
        split: "train" or "test".

    Raises:
        DependencyError: scikit-learn is not installed.
    """
    if split not in ("train", "test"):
        raise OptionError(f"split={split!r}; expected 'train' or 'test'")
    rng = torch.Generator().manual_seed((seed * 2 + (split == "test")) * 1_000_003 + index)
    strokes, labels, sources = _digits(split)
    pick = int(torch.randint(len(strokes), (), generator=rng))
    ink = _placed(strokes[pick], rng)
    image = _background(split, rng)
    for _ in range(int(torch.randint(3, (), generator=rng))):
        image = _painted(image, _blob(rng) * _uniform(rng, 0.5, 0.9), torch.rand(3, generator=rng))
    colour = _contrasting(image, ink, rng)
    image = _painted(image, ink * _uniform(rng, 0.85, 1.0), colour)
    image = (image + 0.02 * torch.randn(image.shape, generator=rng)).clamp(0, 1)
    return Digit((image * 255).round().to(torch.uint8), ink > 0.5, int(labels[pick]), int(sources[pick]))


def digits(count: int, *, split: str = "test", seed: int = 0, start: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Images `start` … `start + count - 1`: (N, 3, 96, 96) uint8, masks (N, 96, 96) bool, labels (N,)."""
    made = [digit(index, split=split, seed=seed) for index in range(start, start + count)]
    return (
        torch.stack([item.pixels for item in made]),
        torch.stack([item.mask for item in made]),
        torch.tensor([item.label for item in made]),
    )


def write_digits(folder: Path, count: int, *, split: str = "test", seed: int = 0) -> dict[str, int]:
    """Images 0 … count - 1 as `images/00000-seven.png` and so on, their masks as `masks/` of the same names; files that
    are there already stay.

    Returns:
        The class of each image by its name.
    """
    labels = {}
    for index in range(count):
        made = digit(index, split=split, seed=seed)
        name = f"{index:05d}-{CLASSES[made.label]}.png"
        labels[name] = made.label
        if not (folder / "images" / name).exists():
            write_image(folder / "masks" / name, (made.mask * 255).to(torch.uint8).numpy())
            write_image(folder / "images" / name, made.pixels.permute(1, 2, 0).contiguous().numpy())
    return labels


def _placed(strokes: Tensor, rng: torch.Generator) -> Tensor:
    """(96, 96) ink 0 … 1: an 8 × 8 digit enlarged to 36 … 62 pixels, turned a little, anywhere inside."""
    side = _uniform(rng, 36, 62)
    angle = math.radians(_uniform(rng, -14, 14))
    room = (SIZE - side) / SIZE
    x, y = _uniform(rng, -room, room), _uniform(rng, -room, room)
    zoom = SIZE / side
    cos, sin = math.cos(angle) * zoom, math.sin(angle) * zoom
    matrix = torch.tensor([[cos, -sin, -(cos * x - sin * y)], [sin, cos, -(sin * x + cos * y)]])
    grid = F.affine_grid(matrix[None], [1, 1, SIZE, SIZE], align_corners=False)
    ink = F.grid_sample(strokes[None, None], grid, mode="bicubic", padding_mode="zeros", align_corners=False)[0, 0]
    return torch.sigmoid((ink - 0.42) * 14) * (ink > 0.02)


def _background(split: str, rng: torch.Generator) -> Tensor:
    """(3, 96, 96): a crop of a photograph, from the part that belongs to the split."""
    photos = _photographs()
    photo = photos[int(torch.randint(len(photos), (), generator=rng))]
    edge = round(photo.shape[2] * (1 - TEST_SHARE))
    photo = photo[:, :, edge:] if split == "test" else photo[:, :, :edge]
    side = int(torch.randint(SIZE, min(photo.shape[1:]) + 1, (), generator=rng))
    top = int(torch.randint(photo.shape[1] - side + 1, (), generator=rng))
    left = int(torch.randint(photo.shape[2] - side + 1, (), generator=rng))
    crop = photo[None, :, top : top + side, left : left + side]
    return F.interpolate(crop, size=(SIZE, SIZE), mode="bilinear", antialias=True, align_corners=False)[0]


def _blob(rng: torch.Generator) -> Tensor:
    """(96, 96): a soft ellipse or bar, a thing that is no digit."""
    axis = torch.linspace(-1, 1, SIZE)
    y, x = torch.meshgrid(axis - _uniform(rng, -0.9, 0.9), axis - _uniform(rng, -0.9, 0.9), indexing="ij")
    angle = _uniform(rng, 0, math.pi)
    u, v = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    distance = (u / _uniform(rng, 0.08, 0.5)) ** 2 + (v / _uniform(rng, 0.05, 0.2)) ** 2
    return torch.sigmoid((1 - distance) * 8)


def _painted(image: Tensor, cover: Tensor, colour: Tensor) -> Tensor:
    return image * (1 - cover) + colour[:, None, None] * cover


def _contrasting(image: Tensor, ink: Tensor, rng: torch.Generator) -> Tensor:
    """A random colour that stands out from what lies under the ink."""
    luma = torch.tensor([0.299, 0.587, 0.114])
    under = (image * ink).sum(dim=(1, 2)) / ink.sum().clamp(min=1)
    for _ in range(20):
        colour = torch.rand(3, generator=rng)
        if abs(float(((colour - under) * luma).sum())) > 0.3:
            return colour
    return torch.full((3,), float((under * luma).sum() < 0.5))


def _uniform(rng: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=rng))


@lru_cache(maxsize=2)
def _digits(split: str) -> tuple[Tensor, Tensor, Tensor]:
    """(n, 8, 8) strokes 0 … 1, labels and indices of one split of the handwritten digits."""
    data = _sklearn_datasets().load_digits()
    order = torch.randperm(len(data.images), generator=torch.Generator().manual_seed(2024))
    order = order[:TEST_DIGITS] if split == "test" else order[TEST_DIGITS:]
    strokes = torch.tensor(data.images, dtype=torch.float32) / 16
    return strokes[order], torch.tensor(data.target)[order], order


@lru_cache(maxsize=1)
def _photographs() -> tuple[Tensor, ...]:
    """(3, H, W) 0 … 1 of each photograph."""
    images = _sklearn_datasets().load_sample_images().images
    return tuple(torch.tensor(image).permute(2, 0, 1).float() / 255 for image in images)


def _sklearn_datasets() -> Any:
    try:
        import sklearn.datasets
    except ImportError as error:
        raise DependencyError("generating digits needs scikit-learn: pip install 'explainers[demo]'") from error
    return sklearn.datasets
