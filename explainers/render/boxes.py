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
        picture: (H, W, 3) uint8; boxes: each with its caption, which stands in its upper left corner, moved as far as
            it needs to stay in the picture; they may reach beyond the picture.

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
    for corners, caption in reversed(boxes):
        x0, y0, x1, y1 = (each * factor for each in corners)
        left, top = max(0, round(x0)), max(0, round(y0))
        right, bottom = min(width, round(x1)) - 1, min(height, round(y1)) - 1
        if right < left or bottom < top:
            continue
        draw.rectangle((left, top, right, bottom), outline=RIM, width=2 * line)
        draw.rectangle((left, top, right, bottom), outline=LINE, width=line)
        text = "".join(letter if letter.isprintable() else "�" for letter in caption)
        x, y = left + 2 * line, top + 2 * line
        space = draw.textbbox((x, y), text, font=font)
        x = max(2 * line, x - max(0, round(space[2]) + 2 - width))
        y = max(2 * line, y - max(0, round(space[3]) + 2 - height))
        space = draw.textbbox((x, y), text, font=font)
        draw.rectangle((space[0] - 1, space[1] - 1, space[2] + 1, space[3] + 1), fill=RIM)
        draw.text((x, y), text, fill=LINE, font=font)
    return np.asarray(made)
