"""Targets as text, where the network and how it takes a photo are known."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from explainers.core.preprocessing import Preprocessing
from explainers.data.images import MAX_PIXELS, read_image
from explainers.errors import TargetError
from explainers.models.target_words import target_of


def spelled_target(text: str, model: Any, preprocessing: Preprocessing | None, *, max_pixels: int = MAX_PIXELS) -> Any:
    """What `--target` means to a network, see `target_of`; the file behind `like:` is read and prepared like images.

    Raises:
        TargetError: it means nothing. ImageError: the reference cannot be read.
    """

    def image(path: str) -> Tensor:
        if preprocessing is None:
            raise TargetError(f"target={text!r}: it is not known how this network takes a photo; give preprocessing=")
        photo = read_image(path, max_pixels=max_pixels, **preprocessing.reading())
        return preprocessing(photo.input)

    return target_of(text, getattr(model, "class_names", None), image)
