"""Photos: files of images, seen through a `Preprocessing`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from explainers.core.preprocessing import Preprocessing
from explainers.data.images import MAX_PIXELS, ImageFile, Photo, find_images, read_image
from explainers.data.images.companions import read_map, read_mask
from explainers.render import Scale, Style, gradient_picture, outlined, overlay, scale_of
from explainers.run.kinds.kind import Content, content_digest
from explainers.storage.files import content_hash


@dataclass(frozen=True)
class Photographs:
    """The first kind of input."""

    preprocessing: Preprocessing
    name = "photo"

    def find(self, where: Any) -> list[ImageFile]:
        """By suffix."""
        return find_images(where)

    def content(self, path: Path) -> bytes:
        """Of the file."""
        return content_hash(path)

    def digest(self, subject: Photo) -> str:
        """Of the pixels, or bands."""
        return content_digest(subject.input)

    def read(self, path: Path, most: int | None) -> Photo:
        """As the preprocessing needs it read; notes say where its crop has to be padded."""
        photo = read_image(path, max_pixels=limit(most), **self.preprocessing.reading())
        padding = self.preprocessing.padding(*photo.pixels.shape[:2])
        return replace(photo, notes=(*photo.notes, padding)) if padding else photo

    def input(self, subject: Photo) -> Tensor:
        """(C, H, W)."""
        return self.preprocessing(subject.input)

    def size(self, subject: Photo) -> tuple[int, ...]:
        """Height and width."""
        return subject.pixels.shape[:2]

    def places(self, subject: Photo) -> dict[str, np.ndarray]:
        """box: (top, left, bottom, right) of the map in the photo's pixels."""
        return {"box": np.array(self._box(subject)), "image_size": np.array(subject.pixels.shape[:2])}

    def shown(self, subject: Photo) -> np.ndarray:
        """The photo."""
        return subject.pixels

    def drawn(self, subject: Photo, values: np.ndarray, style: Style, outline: Any = None) -> Mapping[str, Content]:
        """The photo with the map on it."""
        return {".png": picture(subject, values, self._box(subject), style, outline)}

    def scale(self, values: np.ndarray, style: Style) -> Scale | None:
        """Of the map, where it has one value a pixel."""
        return scale_of(values, style)

    def maps(self, subject: Photo, values: np.ndarray) -> Mapping[str, bytes]:
        """None but the raw one."""
        return {}

    def map_in(self, path: Path, most: int | None) -> np.ndarray:
        """An array, or the gray values of a picture."""
        return read_map(path, max_pixels=limit(most))

    def mask_in(self, path: Path, most: int | None, of: Photo | None = None) -> np.ndarray:
        """An array, or a picture that is white inside."""
        return read_mask(path, max_pixels=limit(most))

    def _box(self, photo: Photo) -> tuple[float, float, float, float]:
        return self.preprocessing.box(photo.pixels.shape[0], photo.pixels.shape[1])


def picture(
    photo: Photo, values: np.ndarray, box: Sequence[float], style: Style, outline: Tensor | np.ndarray | None = None
) -> np.ndarray:
    """The overlay of a map (H, W), or the picture of a gradient (C, H, W).

    Args:
        outline: (h, w) bool over the map, whose edge is drawn on an overlay.
    """
    if values.ndim == 3:
        return gradient_picture(values if values.shape[0] in (1, 3) else values.mean(axis=0, keepdims=True))
    top, left, bottom, right = box
    drawn = overlay(photo.pixels, values, box=(top, left, bottom, right), style=style)
    return drawn if outline is None else outlined(drawn, np.asarray(outline), box=(top, left, bottom, right))


def limit(most: int | None) -> int:
    """How many pixels a photo may have."""
    return MAX_PIXELS if most is None else most
