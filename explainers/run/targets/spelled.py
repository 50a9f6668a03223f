"""Targets as text, where the network and how it takes a photo are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from explainers.core.preprocessing import AnyPreprocessing
from explainers.errors import TargetError
from explainers.models.target_words import target_of
from explainers.run.kinds import kind_of


def spelled_target(
    text: str, model: Any, preprocessing: AnyPreprocessing | None, *, max_pixels: int | None = None
) -> Any:
    """What `--target` means to a network, see `target_of`; the file behind `like:` is read and prepared like images.

    Raises:
        TargetError: it means nothing. ImageError: the reference cannot be read.
    """

    def image(path: str) -> Tensor:
        if preprocessing is None:
            raise TargetError(f"target={text!r}: it is not known how this network takes a file; give preprocessing=")
        kind = kind_of(preprocessing)
        return kind.input(kind.read(Path(path), max_pixels))

    return target_of(text, getattr(model, "class_names", None), image)
