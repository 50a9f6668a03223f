"""One image: what is in it follows from seed, split and index, and becomes pixels, classes, boxes and a value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from explainers.data.generated.random_numbers import check_count, numbers_of
from explainers.data.generated.scenes.ground import ground, painted, tinted
from explainers.data.generated.scenes.shapes import COLOURS, KINDS, outline
from explainers.errors import OptionError

MOST = 4  # shapes of one image
WARM = tuple(COLOURS.index(name) for name in ("red", "yellow"))
RADIUS = (0.085, 0.17)  # of the image's width
APART = 0.8  # least distance of two middles, of the sum of their radii: shapes may touch and hide a little


@dataclass(frozen=True)
class Thing:
    """A shape: kind: index in `KINDS`; colour: index in `COLOURS`; x, y, radius: in image widths; turn: in radians."""

    kind: int
    colour: int
    x: float
    y: float
    radius: float
    turn: float


@dataclass(frozen=True, eq=False)
class Scene:
    """One generated image of n shapes.

    pixels: (3, S, S) uint8; classes: (S, S) int64, 0 the ground, 1 + kind elsewhere; shapes: (S, S) int64, 0 the
    ground, 1 + index of the shape that is seen there; boxes: (n, 4) float32, x0, y0, x1, y1 in pixels around what is
    seen of each; labels: (n,) int64, its kind; things: what was painted, in the same order.
    """

    pixels: Tensor
    classes: Tensor
    shapes: Tensor
    boxes: Tensor
    labels: Tensor
    things: tuple[Thing, ...]

    @property
    def warm(self) -> Tensor:
        """(S, S) bool, where a red or yellow shape is seen. Strokes of these colours do not count."""
        numbers = [1 + number for number, thing in enumerate(self.things) if thing.colour in WARM]
        return torch.isin(self.shapes, torch.tensor(numbers, dtype=self.shapes.dtype))

    @property
    def warm_share(self) -> float:
        """How much of the image that is, in percent."""
        return 100 * self.warm.double().mean().item()


def scene(index: int, *, split: str = "test", seed: int = 0, size: int = 64) -> Scene:
    """Image `index` of a split, with 1 … 4 shapes.

    Args:
        split: "train", "val" or "test".
        size: pixels a side, at least 32.

    Raises:
        OptionError: a setting out of its range.

    Cost: about 2 ms at 64 pixels on one thread.
    """
    check_size(size)
    rng = numbers_of("scene", split, seed, index)
    looks = [drawn_look(rng) for _ in range(rng.integers(1, MOST + 1))]
    return drawn_scene(rng, looks, size)


def scenes(count: int, *, split: str = "test", seed: int = 0, size: int = 64) -> list[Scene]:
    """Images 0 … count - 1."""
    check_count(count)
    return [scene(index, split=split, seed=seed, size=size) for index in range(count)]


def check_size(size: int) -> None:
    """OptionError where the image would be too small for its shapes."""
    if size < 32:
        raise OptionError(f"size={size}; expected at least 32 pixels")


def drawn_look(rng: np.random.Generator) -> tuple[int, int]:
    """Kind and colour of a shape, each as often as the others."""
    return int(rng.integers(len(KINDS))), int(rng.integers(len(COLOURS)))


def drawn_scene(rng: np.random.Generator, looks: Sequence[tuple[int, int]], size: int) -> Scene:
    """An image of shapes of these kinds and colours; one that finds no room is left out, never the first."""
    image = ground(rng, size)
    things: list[Thing] = []
    seen = np.zeros((size, size), np.int64)
    for kind, colour in looks:
        thing = _placed(rng, kind, colour, things)
        if thing is None:
            continue
        things.append(thing)
        corners = outline(kind, thing.x, thing.y, thing.radius, thing.turn)
        seen[painted(image, corners, tinted(rng, colour), rng.uniform(0.75, 1.0))] = len(things)
    image += rng.uniform(0.01, 0.05) * rng.standard_normal(image.shape, np.float32)
    kinds = np.array([0, *(1 + thing.kind for thing in things)])
    classes = kinds[seen]
    return Scene(
        torch.from_numpy(np.rint(image.clip(0, 1) * 255).astype(np.uint8)).permute(2, 0, 1).contiguous(),
        torch.from_numpy(classes),
        torch.from_numpy(seen),
        torch.tensor([_box(seen == 1 + number) for number in range(len(things))], dtype=torch.float32),
        torch.from_numpy(kinds[1:] - 1),
        tuple(things),
    )


def _placed(rng: np.random.Generator, kind: int, colour: int, others: Sequence[Thing]) -> Thing | None:
    """A shape inside the image and not on the others, None where there is no room."""
    for _ in range(40):
        radius, turn = rng.uniform(*RADIUS), rng.uniform(0, 2 * math.pi)
        x, y = rng.uniform(1.25 * radius, 1 - 1.25 * radius, 2)
        if all(math.hypot(x - one.x, y - one.y) > APART * 1.24 * (radius + one.radius) for one in others):
            return Thing(kind, colour, float(x), float(y), float(radius), float(turn))
    return None


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
