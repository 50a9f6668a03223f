"""Images in whatever form they are at hand, as a network takes them and as they are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from explainers.core.preprocessing import Preprocessing, as_column
from explainers.data.images.convert import as_photo
from explainers.errors import ImageError

if TYPE_CHECKING:
    import numpy as np

Box = tuple[float, float, float, float]


def prepared(
    image: Any, preprocessing: Preprocessing | None
) -> tuple[Tensor, tuple[np.ndarray, ...], tuple[Box | None, ...]]:
    """Network input (N, C, H, W), the photos, and where the input lies in each photo."""
    if isinstance(image, Tensor):
        images = image[None] if image.ndim == 3 else image
        return images, tuple(_shown(value, preprocessing) for value in images), (None,) * len(images)
    if preprocessing is None:
        raise ImageError(
            "how this network takes a photo is not known: load it with explainers.load_model, pass preprocessing=, "
            "or pass a tensor (N, C, H, W) as the network takes it"
        )
    given = image if isinstance(image, (list, tuple)) else [image]
    photos = [as_photo(value, **preprocessing.reading()) for value in given]
    if not photos:
        raise ImageError("the list of images is empty")
    inputs = [preprocessing(photo.input) for photo in photos]
    shapes = {tuple(value.shape) for value in inputs}
    if len(shapes) > 1:
        raise ImageError(f"the images have different sizes after preprocessing ({sorted(shapes)}); set a crop or size")
    pixels = tuple(photo.pixels for photo in photos)
    return torch.stack(inputs), pixels, tuple(preprocessing.box(each.shape[0], each.shape[1]) for each in pixels)


def _shown(image: Tensor, preprocessing: Preprocessing | None) -> np.ndarray:
    """A network input (C, H, W) as a picture: normalisation undone where it is known, else stretched to 0 … 1."""
    value = image.detach().float().cpu()
    shown = None if preprocessing is None else preprocessing.channels_shown()
    if preprocessing is not None and not preprocessing.takes_bands and len(preprocessing.mean) == len(value):
        value = value * as_column(preprocessing.std) + as_column(preprocessing.mean)
    else:
        span = (value.max() - value.min()).clamp(min=1e-12)
        value = (value - value.min()) / span
    value = value[([0, 1, 2] if len(value) >= 3 else [0]) if shown is None else shown].expand(3, -1, -1)
    return (value.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
