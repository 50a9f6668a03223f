"""From images as a notebook has them to a network's input, and a network's input as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from explainers.core.preprocessing import Preprocessing, as_column
from explainers.errors import ImageError, OptionError
from explainers.network.input import convolution_axes, first_parameter
from explainers.network.inputs import Inputs, Key, chosen, inputs_of
from explainers.network.unwrapping import needs_several

if TYPE_CHECKING:
    import numpy as np

Box = tuple[float, float, float, float]


def prepared(
    image: Any, preprocessing: Preprocessing | None, network: Any
) -> tuple[Tensor, tuple[np.ndarray, ...], tuple[Box | None, ...]]:
    """Network input (N, C, H, W), the photos, and where the input lies in each photo."""
    axes = convolution_axes(network)
    if isinstance(image, Tensor) and (image.ndim not in (3, 4) or (image.ndim == 3 and axes and 2 not in axes)):
        raise ImageError(
            "explain and compare show images (N, C, H, W); of a volume (N, C, D, H, W) or a signal (N, C, L) make the "
            "maps as tensors: explainers.create('grad-cam', model)(inputs)"
        )
    if isinstance(image, Tensor):
        images = image[None] if image.ndim == 3 else image
        return images, tuple(shown(value, preprocessing) for value in images), (None,) * len(images)
    from explainers.data.images.convert import as_photo

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


def shown(image: Tensor, preprocessing: Preprocessing | None) -> np.ndarray:
    """A network input (C, H, W) as a picture: normalisation undone where it is known, else stretched to 0 … 1."""
    value = image.detach().float().cpu()
    bands = None if preprocessing is None else preprocessing.channels_shown()
    if preprocessing is not None and not preprocessing.takes_bands and len(preprocessing.mean) == len(value):
        value = value * as_column(preprocessing.std) + as_column(preprocessing.mean)
    else:
        span = (value.max() - value.min()).clamp(min=1e-12)
        value = (value - value.min()) / span
    value = value[([0, 1, 2] if len(value) >= 3 else [0]) if bands is None else bands].expand(3, -1, -1)
    return (value.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()


def has_several(network: Any, image: Any, explain: Key | None, keywords: Mapping[str, Any] | None) -> bool:
    """Whether a tuple is of inputs, rather than of photos: the network needs them, or it is said which is explained."""
    asked = explain is not None or keywords is not None
    return isinstance(image, Mapping) or asked or (isinstance(image, tuple) and needs_several(network))


def prepared_inputs(
    network: Any, given: Any, explain: Key | None, keywords: Mapping[str, Any] | None, preparing: Preprocessing | None
) -> tuple[Inputs, Key, tuple[np.ndarray, ...], tuple[Box | None, ...]]:
    """All inputs, with what is explained made into the network's input; which that is; its photos."""
    named = isinstance(given, Mapping)
    parts = dict(given) if named else dict(enumerate(given if isinstance(given, tuple) else (given,)))
    keys = chosen(network, parts, 0 if len(parts) == 1 and explain is None else explain)
    if len(keys) > 1:
        raise OptionError(f"an explanation is of one input; pass explain={keys[0]!r} or another")
    images, pixels, boxes = prepared(parts[keys[0]], preparing, network)
    parameter = first_parameter(network)
    parts[keys[0]] = images if parameter is None else images.to(parameter.device)
    inputs, (key,) = inputs_of(network, parts if named else tuple(parts.values()), keys[0], keywords)
    return inputs, key, pixels, boxes
