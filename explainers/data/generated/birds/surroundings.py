"""What is around a bird: sky, leaves, ground and water, and things that have the colours of its parts."""

from __future__ import annotations

import math

import numpy as np

from explainers.data.generated.birds.brush import Array, Draws, Layer, closed_curve, disc, noise, stroke
from explainers.data.generated.birds.kinds import COLOURS, Colour
from explainers.data.images import opencv

SKIES = (
    ((0.28, 0.50, 0.80), (0.70, 0.83, 0.93)),
    ((0.55, 0.66, 0.78), (0.86, 0.89, 0.91)),
    ((0.62, 0.64, 0.67), (0.80, 0.80, 0.79)),
    ((0.38, 0.42, 0.62), (0.94, 0.72, 0.52)),
    ((0.50, 0.58, 0.74), (0.93, 0.82, 0.78)),
)
LEAVES = (
    ((0.12, 0.22, 0.10), (0.24, 0.42, 0.16), (0.52, 0.64, 0.26)),
    ((0.10, 0.18, 0.14), (0.18, 0.34, 0.24), (0.42, 0.58, 0.42)),
    ((0.26, 0.18, 0.09), (0.56, 0.36, 0.14), (0.80, 0.62, 0.26)),
    ((0.20, 0.20, 0.16), (0.42, 0.42, 0.32), (0.66, 0.66, 0.54)),
)
GROUNDS = (
    ((0.30, 0.42, 0.16), (0.48, 0.58, 0.26), True),
    ((0.76, 0.68, 0.52), (0.86, 0.80, 0.66), False),
    ((0.84, 0.87, 0.91), (0.93, 0.95, 0.97), False),
    ((0.36, 0.27, 0.18), (0.55, 0.40, 0.24), True),
    ((0.45, 0.44, 0.42), (0.62, 0.61, 0.58), False),
)
_ALONG = np.linspace(-1, 1, 9)
_LEAF = np.stack([np.append(_ALONG, _ALONG[::-1]), np.append(1 - _ALONG**2, _ALONG**2 - 1)], axis=1)
BARKS = ((0.32, 0.24, 0.17), (0.45, 0.40, 0.34), (0.24, 0.20, 0.18), (0.50, 0.38, 0.26))


def mixed(first: Colour | Array, second: Colour | Array, share: Array) -> Array:
    """(S, S, 3), from the first colour to the second where the share (S, S) goes from 0 to 1."""
    a, b = np.asarray(first, np.float32), np.asarray(second, np.float32)
    field: Array = np.clip(share, 0, 1)[..., None] * (b - a)
    field += a
    return field


def height(size: int) -> Array:
    """(S, 1) float32, 0 at the top and 1 at the bottom."""
    return ((np.arange(size, dtype=np.float32) + 0.5) / size)[:, None]


def sky(draws: Draws, size: int) -> Array:
    """A bright gradient with clouds."""
    top, bottom = draws.one_of(SKIES)
    clouds = noise(draws, size, 3, 2, 4) * 0.8 + draws.number(-0.5, 0.35)
    plain = mixed(top, bottom, np.broadcast_to(height(size) * draws.number(0.8, 1.2), (size, size)))
    return mixed(plain, np.array((0.95, 0.95, 0.96), np.float32), clouds * draws.number(0.5, 0.9))


def leaves(draws: Draws, size: int) -> Array:
    """Foliage out of focus, with light between it."""
    dark, middle, bright = draws.one_of(LEAVES)
    base = mixed(dark, middle, 0.5 + 0.5 * noise(draws, size, 3, 3, 2))
    gap = draws.one_of(SKIES)[1]
    base = mixed(base, np.array(gap, np.float32), 1.6 * noise(draws, size, 4, 4, 2) - draws.number(0.8, 1.6))
    canvas = np.rint(base * 255).clip(0, 255).astype(np.uint8)
    for blur, count, small, large in ((0.03, 14, 0.05, 0.14), (0.008, 10, 0.04, 0.1)):
        for _ in range(count):
            share = draws.number() ** 1.5
            tone = (np.array(middle) * (1 - share) + np.array(bright) * share) * draws.number(0.7, 1.1)
            length = draws.number(small, large)
            outline = leaf(
                draws.number(), draws.number(), length, length * draws.number(0.3, 0.6), draws.number(0, math.pi)
            )
            _fill(canvas, outline, tone)
        canvas = opencv().GaussianBlur(canvas, (0, 0), blur * size)
    return canvas.astype(np.float32) / 255


def leaf(x: float, y: float, length: float, width: float, angle: float) -> Array:
    """The outline of a pointed leaf, half as long and wide as given."""
    cos, sin = math.cos(angle), math.sin(angle)
    outline: Array = _LEAF @ np.array([[length * cos, length * sin], [-width * sin, width * cos]]) + (x, y)
    return outline


def _fill(canvas: Array, outline: Array, colour: Array) -> None:
    at = np.rint((outline * len(canvas) - 0.5) * 16).astype(np.int32)
    opencv().fillPoly(canvas, [at], [float(255 * each) for each in colour], lineType=opencv().LINE_AA, shift=4)


def ground(draws: Draws, size: int, horizon: float) -> Array:
    """Far leaves or sky above the horizon, earth, grass, sand or snow below it, finer towards the horizon."""
    far = leaves(draws, size) if draws.chance(0.6) else sky(draws, size)
    far = opencv().GaussianBlur(far, (0, 0), 0.02 * size)
    dark, bright, grown = draws.one_of(GROUNDS)
    rough = 0.5 + 0.45 * noise(draws, size, 22, 9, 2) + 0.3 * noise(draws, size, 3, 3)
    earth = mixed(dark, bright, rough)
    line = horizon + 0.015 * noise(draws, size, 2, 5, 2)[0]
    image = mixed(far, earth, (height(size) - line) * size / 3)
    if not grown:
        return image
    canvas = np.rint(image * 255).clip(0, 255).astype(np.uint8)
    for number in range(50):
        depth = (number + draws.number()) / 50
        x, y = draws.number(), horizon + (1.08 - horizon) * depth
        reach, lean, tone = (
            0.02 + 0.07 * depth * draws.number(0.5, 1.2),
            draws.number(-0.03, 0.03),
            draws.number(0.75, 1.25),
        )
        blade = np.array([(x - 0.004 - 0.004 * depth, y), (x + lean, y - reach), (x + 0.004 + 0.004 * depth, y)])
        _fill(canvas, blade, (np.array(dark) + np.array(bright)) / 2 * tone)
    return canvas.astype(np.float32) / 255


def bank_and_water(draws: Draws, size: int, bank: float) -> tuple[Array, Array]:
    """The view over water, with the bank's own reflection in it, and the ripples (S, S), around 0.

    bank: height of the line where the water begins.
    """
    far = leaves(draws, size) if draws.chance(0.65) else sky(draws, size)
    if draws.chance(0.5):
        far = mixed(
            far,
            np.array((0.55, 0.56, 0.42), np.float32) * draws.number(0.6, 1.2),
            (height(size) - bank + 0.03) * size / 2 * np.ones((1, size), np.float32),
        )
    calm = draws.number(0.3, 1.0)
    ripples = noise(draws, size, 26, 3, 2) * (0.4 + height(size)) * calm
    seen = mirrored(far, bank, ripples, 0.018)
    tone = draws.one_of(((0.16, 0.28, 0.33), (0.22, 0.33, 0.30), (0.30, 0.40, 0.50), (0.42, 0.46, 0.46)))
    water = seen * 0.62 + np.array(tone, np.float32) * 0.38
    water = water + 0.09 * ripples[..., None]
    return mixed(far, water, (height(size) - bank) * size / 1.5 * np.ones((1, size), np.float32)), ripples


def mirrored(image: Array, line: float, ripples: Array, reach: float) -> Array:
    """A picture upside down below a line, shaken by ripples.

    image: (S, S) or (S, S, C); line: height of the mirror; reach: by how much of the image ripples of 1 move it.
    """
    size = len(image)
    rows = np.arange(size, dtype=np.float32)[:, None]
    x = np.arange(size, dtype=np.float32)[None, :] + ripples * (reach * size)
    y = 2 * (line * size - 0.5) - rows + ripples * (0.5 * reach * size)
    border = opencv().BORDER_CONSTANT if image.ndim == 3 and image.shape[2] == 4 else opencv().BORDER_REFLECT
    seen: Array = opencv().remap(
        image, x.astype(np.float32), y.astype(np.float32), opencv().INTER_LINEAR, borderMode=border
    )
    return seen


def branch(layer: Layer, draws: Draws, x: float, y: float, size: int) -> None:
    """A branch through a point, with twigs and leaves."""
    slope, bend, thick = draws.number(-0.16, 0.16), draws.number(-0.05, 0.05), draws.number(0.018, 0.034)
    bark = np.array(draws.one_of(BARKS), np.float32)
    rough = (1 + 0.28 * noise(draws, size, 30, 12, 1))[..., None]
    y += thick * 0.8

    def at(where: float) -> tuple[float, float]:
        return where, y + slope * (where - x) + bend * math.sin(3 * (where - x))

    points = [at(where) for where in (-0.1, x - 0.2 if x > 0.25 else 0.02, x, x + 0.2 if x < 0.75 else 0.98, 1.1)]
    dark, _, bright = draws.one_of(LEAVES)
    for _ in range(int(draws.number(1, 4))):
        from_x, from_y = at(draws.number(0.05, 0.95))
        way, lean = draws.one_of((-1, 1)), draws.number(-0.12, 0.12)
        to_x, to_y = from_x + lean, from_y + way * draws.number(0.06, 0.16)
        layer.paint(
            stroke(
                [(from_x, from_y), ((from_x + to_x) / 2 + 0.02, (from_y + to_y) / 2), (to_x, to_y)], thick * 0.4, 0.004
            ),
            bark * 0.9,
        )
        tone = np.array(dark) + (np.array(bright) - np.array(dark)) * draws.number(0.3, 0.9)
        length = draws.number(0.03, 0.06)
        layer.paint([leaf(to_x, to_y, length, length * 0.45, draws.number(0, math.pi))], tone)
    outline = stroke(points, thick * draws.number(0.8, 1.2), thick * draws.number(0.6, 1.0))
    layer.paint(outline, bark * rough)
    layer.paint(
        [each - (0, thick * 0.45) for each in stroke(points, thick * 0.35, thick * 0.25)],
        np.minimum(bark * 1.35, 1) * rough,
        0.6,
    )


def distractors(layer: Layer, draws: Draws, low: float, high: float) -> None:
    """Berries, petals, fallen leaves and forked ones between two heights, in the colours of beaks and tails."""
    names = tuple(COLOURS)
    for _ in range(int(draws.number(0, 4.99))):
        tone = np.array(COLOURS[draws.one_of(names)]) * draws.number(0.8, 1.1)
        x, y, side = draws.number(0.03, 0.97), draws.number(low, high), draws.number(0.015, 0.04)
        shape, angle = draws.one_of(("berries", "leaf", "forked", "petals")), draws.number(0, 2 * math.pi)
        if shape == "berries":
            for _ in range(3):
                bx, by = x + draws.number(-1.5, 1.5) * side, y + draws.number(-1.5, 1.5) * side
                layer.paint([disc(bx, by, 0.8 * side)], tone)
                layer.paint([disc(bx - 0.25 * side, by - 0.25 * side, 0.22 * side)], (1.0, 1.0, 1.0), 0.5)
        elif shape == "leaf":
            layer.paint([leaf(x, y, 2.2 * side, 0.8 * side, angle)], tone)
        elif shape == "forked":
            for lean in (-0.35, 0.35):
                dx, dy = math.cos(angle + lean), math.sin(angle + lean)
                layer.paint([leaf(x + 1.8 * side * dx, y + 1.8 * side * dy, 2 * side, 0.6 * side, angle + lean)], tone)
        else:
            turns = [
                (
                    x + (1.5 if k % 2 else 0.7) * side * math.cos(angle + k * math.pi / 5),
                    y + (1.5 if k % 2 else 0.7) * side * math.sin(angle + k * math.pi / 5),
                )
                for k in range(10)
            ]
            layer.paint([closed_curve(turns)], tone)
            layer.paint([disc(x, y, 0.5 * side)], (0.85, 0.7, 0.2))
