"""Boxes on a picture, each with a caption."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from explainers.render.outline import LINE, RIM, THICKNESS
from explainers.render.sheet import caption_font

Corners = tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels

LEAST = 256  # pixels of the shorter side


def with_boxes(picture: np.ndarray, boxes: Sequence[tuple[Corners, str]]) -> np.ndarray:
    """A picture with boxes around what was found in it, the first on top.

    Args:
        picture: (H, W, 3) uint8; boxes: each with its caption, which stands in its upper left corner, or as near to it
            as it covers no caption of a box before it and stays in the picture; one that finds no room is left out.
            Boxes may reach beyond the picture.

    Returns:
        (H, W, 3) uint8, a copy; small ones are enlarged by a whole number, so that captions do not cover them.
    """
    from PIL import Image, ImageDraw

    factor = max(1, -(-LEAST // min(picture.shape[:2])))
    picture = picture.repeat(factor, 0).repeat(factor, 1)
    height, width = picture.shape[:2]
    line = max(1, round(min(height, width) / THICKNESS))
    made = Image.fromarray(picture)
    draw, font = ImageDraw.Draw(made), caption_font()
    inside = []
    for corners, caption in boxes:
        x0, y0, x1, y1 = (each * factor for each in corners)
        left, top = max(0, round(x0)), max(0, round(y0))
        right, bottom = min(width, round(x1)) - 1, min(height, round(y1)) - 1
        if left <= right and top <= bottom:
            inside.append(((left, top, right, bottom), caption))
    for around, _ in reversed(inside):
        draw.rectangle(around, outline=RIM, width=2 * line)
        draw.rectangle(around, outline=LINE, width=line)
    texts = ["".join(letter if letter.isprintable() else "�" for letter in caption) for _, caption in inside]
    spaces = [draw.textbbox((0, 0), text, font=font) for text in texts]
    sizes = [(round(space[2] - space[0]) + 2, round(space[3] - space[1]) + 2) for space in spaces]
    wanted = [(around[0] + 2 * line, around[1] + 2 * line) for around, _ in inside]
    for text, space, size, place in zip(texts, spaces, sizes, placed(wanted, sizes, (width, height)), strict=True):
        if text and place is not None:
            x, y = place
            draw.rectangle((x, y, x + size[0] - 1, y + size[1] - 1), fill=RIM)
            draw.text((x + 1 - space[0], y + 1 - space[1]), text, fill=LINE, font=font)
    return np.asarray(made)


def placed(
    wanted: Sequence[tuple[int, int]], sizes: Sequence[tuple[int, int]], within: tuple[int, int]
) -> list[tuple[int, int] | None]:
    """Where rectangles stand without covering each other, each as near to where it is wanted as those before it allow.

    Args:
        wanted: (x, y) of upper left corners; sizes: (width, height); within: (width, height) of all there is.

    Returns:
        Upper left corners; None where no room is left.
    """
    taken: list[tuple[int, int, int, int]] = []
    found: list[tuple[int, int] | None] = []
    for (x, y), (width, height) in zip(wanted, sizes, strict=True):
        x, y = min(x, within[0] - width), min(y, within[1] - height)
        # The nearest free place lies where it is wanted or against a side of what is there, in either direction.
        across = np.array(sorted({x, 0, *(each for x0, _, x1, _ in taken for each in (x0 - width, x1))}))
        down = np.array(sorted({y, 0, *(each for _, y0, _, y1 in taken for each in (y0 - height, y1))}))
        across = across[(across >= 0) & (across <= within[0] - width)]
        down = down[(down >= 0) & (down <= within[1] - height)]
        x0, y0, x1, y1 = np.array(taken, int).reshape(-1, 4).T[:, :, None]
        beside, below = (across < x1) & (across + width > x0), (down < y1) & (down + height > y0)  # (taken, places)
        way = np.abs(across - x)[:, None] + np.abs(down - y)
        free = (beside.T.astype(int) @ below.astype(int)) == 0
        nearest = np.argwhere(free & (way == way[free].min())) if free.any() else ()
        choices = [(int(across[i]), int(down[j])) for i, j in nearest]
        place = min(choices, key=lambda each: (each[1] < y, each), default=None)
        found.append(place)
        if place is not None:
            taken.append((*place, place[0] + width, place[1] + height))
    return found
