"""One image: its class and its scene follow from seed, split and index, and become pixels and masks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from explainers.data.generated.birds.brush import Array, Draws, Layer, disc
from explainers.data.generated.birds.figure import Figure, Pose, drawn_pose, figure
from explainers.data.generated.birds.kinds import Kind, check_classes, kind
from explainers.data.generated.birds.plumage import Painted, Plumage, drawn_plumage, painted
from explainers.data.generated.birds.surroundings import (
    bank_and_water,
    branch,
    distractors,
    ground,
    height,
    leaves,
    mirrored,
    sky,
)
from explainers.data.images import opencv
from explainers.errors import OptionError

SPLITS = ("train", "val", "test")
MANNERS = ("perching", "perching", "standing", "standing", "wading", "swimming", "flying")
MARGIN = 0.035  # of the image, left free around a bird


@dataclass(frozen=True)
class Bird:
    """One generated image.

    pixels: (3, S, S) uint8 RGB; bird: (S, S) bool, the bird without its reflection; parts: (S, S) bool, what of it
    decides the class, beak and tail; label: index of the class.
    """

    pixels: Tensor
    bird: Tensor
    parts: Tensor
    label: int


@dataclass
class Scene:
    """What an image shows, before it is painted."""

    kind: Kind
    manner: str
    pose: Pose
    plumage: Plumage
    figure: Figure
    scale: float
    draws: Draws


def drawn_scene(index: int, split: str, seed: int, classes: int) -> Scene:
    """The scene of an image; what is painted from its `draws` comes after it."""
    draws = Draws(digest(seed, split, index))
    of = kind(index % classes)
    manner = draws.one_of(MANNERS)
    pose, plumage = drawn_pose(manner, draws), drawn_plumage(draws)
    upright = figure(of, pose)
    low, high = upright.box()
    mirrored_, extent, across, down = draws.chance(0.5), draws.number(0.8, 1.0), draws.number(), draws.number()
    scale = (1 - 2 * MARGIN) * extent / max(high - low)
    wet = manner in ("wading", "swimming")
    if wet:  # there must be room for a reflection
        scale = min(scale, 0.76 / (high[1] - low[1]))
    if mirrored_:
        low[0], high[0] = -high[0], -low[0]
    room = 1 - 2 * MARGIN - scale * (high - low)
    at = MARGIN + room * (across, (0.7 * down if wet else down)) - scale * low
    return Scene(of, manner, pose, plumage, upright.moved(scale, mirrored_, *at), scale, draws)


def bird(index: int, *, split: str = "test", seed: int = 0, size: int = 96, classes: int = 20) -> Bird:
    """Image `index` of a split.

    Args:
        split: "train", "val" or "test".
        size: pixels a side, at least 32.
        classes: 4 … 100, which are in turn; the scene does not depend on it, but the bird's beak and tail do.

    Raises:
        OptionError: a setting out of its range.

    Cost: about 5 ms at 96 pixels on one thread, 4 ms at 64.
    """
    check_settings(split, size, classes)
    scene = drawn_scene(index, split, seed, classes)
    draws = scene.draws
    layer = painted(scene.figure, scene.kind, scene.pose, scene.plumage, draws, size, scene.scale)
    image = _around(scene, layer, draws, size)
    image = layer.over(image)
    image = _developed(image, draws, size)
    return Bird(
        torch.from_numpy(np.rint(image.clip(0, 1) * 255).astype(np.uint8)).permute(2, 0, 1).contiguous(),
        torch.from_numpy(layer.alpha > 0.5),
        torch.from_numpy((layer.deciding > 0.5) & (layer.alpha > 0.5)),
        index % classes,
    )


def _around(scene: Scene, layer: Painted, draws: Draws, size: int) -> Array:
    """(S, S, 3) what is behind the bird; what of the bird is under water is taken from its layer."""
    x, y = scene.figure.feet
    things = Layer(size)
    if scene.manner == "flying":
        image = sky(draws, size) if draws.chance(0.75) else leaves(draws, size)
        distractors(things, draws, 0.0, 1.0)
        return things.over(image)
    if scene.manner == "perching":
        image = leaves(draws, size) if draws.chance(0.65) else sky(draws, size)
        distractors(things, draws, 0.0, 1.0)
        branch(things, draws, x, y, size)
        return things.over(image)
    if scene.manner == "standing":
        horizon = y - draws.number(0.04, 0.4)
        image = ground(draws, size, horizon)
        distractors(things, draws, max(horizon, 0.0), 1.0)
        image = things.over(image)
        shadow = opencv().GaussianBlur(_shadow(scene, size), (0, 0), 0.02 * size)
        return image * (1 - 0.4 * shadow[..., None])
    return _water(scene, layer, draws, size)


def _shadow(scene: Scene, size: int) -> Array:
    made = Layer(size)
    x, y = scene.figure.feet
    made.paint([disc(x, y + 0.02, 0.42 * scene.scale, 0.06 * scene.scale)], (0.0, 0.0, 0.0))
    return made.alpha


def _water(scene: Scene, layer: Painted, draws: Draws, size: int) -> Array:
    """Water with the bird's reflection in it."""
    y = scene.figure.feet[1]
    line = y - (0.4 * scene.pose.leg if scene.manner == "wading" else 0.25 * scene.pose.plump) * scene.scale
    bank = line - draws.number(0.06, 0.45)
    image, ripples = bank_and_water(draws, size, bank)
    things = Layer(size)
    distractors(things, draws, max(bank, 0.0), 1.0)
    image = things.over(image)
    strength, reach = draws.number(0.35, 0.9), draws.number(0.01, 0.035)
    above = np.clip((line - height(size)) * size + 0.5, 0, 1)
    layer.alpha *= above
    layer.deciding *= above
    layer.colours *= above[..., None]
    both = np.concatenate([layer.colours, layer.alpha[..., None]], axis=2)
    seen = mirrored(both, line, ripples, reach) * (strength * (1 - above))[..., None]
    image = image * (1 - seen[..., 3:]) + seen[..., :3] * 0.9
    edge = np.exp(-(((height(size) - line) * 60) ** 2))  # a bright line where the water touches the bird
    return image + (0.25 * edge * opencv().blur(layer.alpha, (5, 5)))[..., None]


def _developed(image: Array, draws: Draws, size: int) -> Array:
    """As a camera takes it: exposure, white balance, darker corners, grain."""
    gains = [draws.number(0.88, 1.1) * draws.number(0.97, 1.03) for _ in range(3)]
    gain = sum(gains) / 3
    balance = np.array([gain + 0.35 * (each - gain) for each in gains], np.float32)
    axis = np.linspace(-1, 1, size, dtype=np.float32) ** 2
    corners = 1 - draws.number(0.0, 0.14) * (axis[:, None] + axis[None, :]) / 2
    grain = torch.randn(size, size, 3, generator=draws.generator).numpy() * np.float32(draws.number(0.004, 0.02))
    return image * balance * corners[..., None] + grain


def birds(
    count: int, *, split: str = "test", seed: int = 0, size: int = 96, classes: int = 20
) -> tuple[Tensor, Tensor, Tensor]:
    """Images 0 … count - 1: (N, 3, S, S) uint8, masks of the birds (N, S, S) bool, labels (N,)."""
    if count < 1:
        raise OptionError(f"count={count}; expected at least 1")
    made = [bird(index, split=split, seed=seed, size=size, classes=classes) for index in range(count)]
    return (
        torch.stack([item.pixels for item in made]),
        torch.stack([item.bird for item in made]),
        torch.tensor([item.label for item in made]),
    )


def check_settings(split: str, size: int, classes: int) -> None:
    """OptionError where a setting of an image is out of its range."""
    if split not in SPLITS:
        raise OptionError(f"split={split!r}; expected one of {', '.join(SPLITS)}")
    if size < 32:
        raise OptionError(f"size={size}; expected at least 32 pixels")
    check_classes(classes)


def digest(*key: object) -> int:
    """64 bits that follow from the key alone, on every machine; torch's generator reads 32 of them."""
    return int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:8], "big") >> 1
