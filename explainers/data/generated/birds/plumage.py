"""A bird in its colours: what it is painted with, and the painted layer with its deciding parts marked."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from explainers.data.generated.birds.brush import Array, Draws, Layer, disc, noise
from explainers.data.generated.birds.figure import Figure, Pose
from explainers.data.generated.birds.kinds import COLOURS, Colour, Kind
from explainers.data.images import opencv

PLUMAGE: dict[str, Colour] = {
    "brown": (0.42, 0.30, 0.20),
    "sandy": (0.70, 0.57, 0.38),
    "grey": (0.52, 0.54, 0.56),
    "slate": (0.28, 0.33, 0.40),
    "olive": (0.42, 0.45, 0.22),
    "green": (0.24, 0.50, 0.24),
    "teal": (0.14, 0.46, 0.48),
    "cream": (0.86, 0.80, 0.66),
    "pink": (0.84, 0.56, 0.56),
    "violet": (0.40, 0.30, 0.55),
    **COLOURS,  # so that no colour of a beak or a tail tells anything by being there
}
LEGS = ((0.25, 0.22, 0.20), (0.85, 0.50, 0.15), (0.72, 0.20, 0.16), (0.50, 0.52, 0.50), (0.80, 0.70, 0.35))


@dataclass
class Plumage:
    """Names of the colours of a bird's parts that decide nothing, and what its feathers look like."""

    back: str
    belly: str
    head: str
    wing: str
    crest: str
    leg: Colour
    bar: str
    ring: bool
    light: float
    tints: dict[str, float]


def drawn_plumage(draws: Draws) -> Plumage:
    """Colours at random; two birds in five are of one colour but for their belly."""
    names = tuple(PLUMAGE)
    back, other = draws.one_of(names), draws.one_of(names)
    plain = draws.chance(0.4)
    return Plumage(
        back=back,
        belly=draws.one_of(("cream", "white", "grey", "sandy", back, other)),
        head=back if plain or draws.chance(0.4) else draws.one_of(names),
        wing=back if plain else draws.one_of((back, other, other)),
        crest=draws.one_of(names),
        leg=draws.one_of(LEGS),
        bar=draws.one_of(names) if draws.chance(0.35) else "",
        ring=draws.chance(0.4),
        light=draws.number(-0.8, 0.8),
        tints={name: draws.number(0.86, 1.1) for name in ("back", "belly", "head", "wing", "tail", "beak")},
    )


class Painted(Layer):
    """A painted bird; `deciding` (S, S) is how much of each pixel shows a deciding part of it."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.deciding = np.zeros((size, size), np.float32)

    def part(self, outlines: list[Array], colour: object, *, decides: bool = False) -> None:
        """Paint a part of the bird over those that are there."""
        cover = self.paint(outlines, colour)
        marked = self.deciding[cover.place]
        marked += (float(decides) - marked) * cover.values


def painted(bird: Figure, kind: Kind, pose: Pose, plumage: Plumage, draws: Draws, size: int, scale: float) -> Painted:
    """The bird, part by part, with its light."""
    layer = Painted(size)
    feathers = noise(draws, size, 24, 24, 2)
    tones = {**PLUMAGE, **COLOURS}

    def colour(name: str, of: str, strength: float = 1.0) -> Array:
        return (np.array(tones[name], np.float32) * (plumage.tints[of] * strength)).clip(0, 1)

    body = _blended(bird, pose, scale, feathers, colour(plumage.back, "back"), colour(plumage.belly, "belly"))
    plain = {
        "tail": colour(kind.tail.colour, "tail"),
        "far leg": np.array(plumage.leg, np.float32) * 0.7,
        "near leg": np.array(plumage.leg, np.float32),
        "far wing": colour(plumage.wing, "wing", 0.7),
        "body": body,
        "head": colour(plumage.head, "head"),
        "crest": colour(plumage.crest, "head"),
        "wing": colour(plumage.wing, "wing", 0.9),
    }
    for name, tone in plain.items():
        if polygons := bird.parts.get(name):
            if name == "wing":
                layer.shade([each + np.array((0, 0.03 * scale)) for each in polygons], 0.25)
            layer.part(polygons, tone, decides=name == "tail")
            if name == "wing" and plumage.bar:
                middle = polygons[0].mean(axis=0)
                layer.paint([(polygons[0] - middle) * (0.25, 0.7) + middle], colour(plumage.bar, "wing"), 0.85)
            if name in bird.details:
                layer.shade(bird.details[name], 0.3)
    layer.colours *= (1 + 0.13 * feathers)[..., None]
    layer.part(bird.parts["beak"], colour(kind.beak.colour, "beak"), decides=True)
    layer.shade(bird.details["beak"], 0.5)
    x, y, radius = bird.eye
    if plumage.ring:
        layer.paint([disc(x, y, 1.5 * radius)], (0.93, 0.9, 0.8))
    layer.paint([disc(x, y, radius)], (0.05, 0.04, 0.04))
    layer.paint([disc(x + 0.3 * radius, y - 0.35 * radius, 0.38 * radius)], (1.0, 1.0, 1.0))
    _light(layer, plumage.light)
    return layer


def _blended(bird: Figure, pose: Pose, scale: float, feathers: Array, back: Array, belly: Array) -> Array:
    """(S, S, 3), the colour of the back above and that of the belly below, with feathers of both between them."""
    outline, size = bird.parts["body"][0], len(feathers)
    x, y = ((outline.min(axis=0) + outline.max(axis=0)) / 2).tolist()
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size
    side = 1.0 if bird.parts["beak"][0][:, 0].mean() > x else -1.0
    across = (axis - x) * (side * math.sin(pose.pitch))
    below = (across[None, :] + ((axis - y) * math.cos(pose.pitch))[:, None]) / (pose.plump * scale)
    share = np.clip((below + 0.2 * feathers + 0.1) / 0.7, 0, 1)
    field: Array = back + share[..., None] * (belly - back)
    return field


def _light(layer: Layer, direction: float) -> None:
    """Make it round: brighter where its edge looks up to the light, darker below."""
    soft = opencv().GaussianBlur(layer.alpha, (0, 0), 0.03 * layer.size)
    down = opencv().Sobel(soft, -1, 0, 1, ksize=3, scale=layer.size / 8)
    across = opencv().Sobel(soft, -1, 1, 0, ksize=3, scale=layer.size / 8)
    layer.colours *= np.clip(1 + 0.032 * (down + direction * across), 0.55, 1.35)[..., None]
    np.minimum(layer.colours, layer.alpha[..., None], out=layer.colours)
