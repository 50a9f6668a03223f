"""One image: its class and its scene follow from seed, split and index, and become pixels and a mask."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from explainers.data.generated.magnetogram.field import dilated, resized
from explainers.data.generated.magnetogram.scene import CLASSES, REFERENCE, Scene, drawn_scene
from explainers.errors import OptionError

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Magnetogram:
    """One generated image.

    pixels: (1, S, S) uint8, 128 where there is no field, 1 and 255 where it is -1 and 1 or beyond; mask: (S, S) bool,
    the inversion lines, empty for class 0; label: index in `CLASSES[grades]`; strength: of the lines, not negative,
    as `inversion_line` measures it on the noise-free field.
    """

    pixels: Tensor
    mask: Tensor
    label: int
    strength: float


def magnetogram(
    index: int, *, split: str = "test", seed: int = 0, size: int = 96, grades: int = 2, rate: float = 0.5
) -> Magnetogram:
    """Image `index` of a split.

    Args:
        split: "train", "val" or "test".
        size: pixels a side, at least 32.
        grades: 2 classes, or 4: flares are then C, M or X by three thresholds of the strength.
        rate: share of flares, 0 … 1; the grades of flares are equally frequent, so all four are at rate 0.75.

    Raises:
        OptionError: a setting out of its range.

    Cost: about 2 ms at 96 pixels on one thread.
    """
    check_settings(split, size, grades, rate)
    label = label_of(index, split, seed, grades, rate)
    rng = generator_of(index, split, seed)
    scene, field, line, strength = drawn_scene(label, grades, rng)
    field = (field if size == REFERENCE else scene.field(size)) + scene.noise * torch.randn(size, size, generator=rng)
    pixels = (128 + 127 * field.clamp(-1, 1)).round().to(torch.uint8)
    mask = resized(dilated(line, 1), size) if label else torch.zeros(size, size, dtype=torch.bool)
    return Magnetogram(pixels[None], mask, label, strength)


def magnetograms(
    count: int,
    *,
    split: str = "test",
    seed: int = 0,
    size: int = 96,
    grades: int = 2,
    rate: float = 0.5,
) -> tuple[Tensor, Tensor, Tensor]:
    """Images 0 … count - 1: (N, 1, S, S) uint8, masks (N, S, S) bool, labels (N,)."""
    if count < 1:
        raise OptionError(f"count={count}; expected at least 1")
    made = [magnetogram(i, split=split, seed=seed, size=size, grades=grades, rate=rate) for i in range(count)]
    return (
        torch.stack([item.pixels for item in made]),
        torch.stack([item.mask for item in made]),
        torch.tensor([item.label for item in made]),
    )


def scene_of(index: int, *, split: str = "test", seed: int = 0, grades: int = 2, rate: float = 0.5) -> Scene:
    """What image `index` shows; `.field(size)` is its field without noise, whose class is that of the image."""
    check_settings(split, REFERENCE, grades, rate)
    return drawn_scene(label_of(index, split, seed, grades, rate), grades, generator_of(index, split, seed))[0]


def check_settings(split: str, size: int, grades: int, rate: float) -> None:
    """OptionError where a setting of an image is out of its range."""
    if split not in SPLITS:
        raise OptionError(f"split={split!r}; expected one of {', '.join(SPLITS)}")
    if size < 32:
        raise OptionError(f"size={size}; expected at least 32 pixels")
    if grades not in CLASSES:
        raise OptionError(f"grades={grades}; expected 2 (no-flare, flare) or 4 (O, C, M, X)")
    if not 0 <= rate <= 1:
        raise OptionError(f"rate={rate}; expected a share of flares, 0 … 1")


def label_of(index: int, split: str, seed: int, grades: int, rate: float) -> int:
    """The class of an image, from a draw of its own so that it is known without the image."""
    draw = _digest("class", seed, split, index) / 2**53
    return min(1 + int((1 - draw) * (grades - 1) / rate), grades - 1) if draw >= 1 - rate else 0


def generator_of(index: int, split: str, seed: int) -> torch.Generator:
    """The random numbers of an image's scene and noise."""
    # Torch's CPU generator reads 32 bits of a seed. Two of them are the split's, so that splits share no image.
    return torch.Generator().manual_seed(_digest("scene", seed, split, index) % 2**30 * 4 + SPLITS.index(split))


def _digest(*key: object) -> int:
    """53 bits that follow from the key alone, on every machine."""
    return int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:8], "big") >> 11
