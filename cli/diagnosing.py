"""The diagnosis that `explain layers` and `explain doctor` tell."""

from __future__ import annotations

import argparse
from typing import Any

import explainers
from explainers.errors import ImageError

from .early_checks import check_paths
from .model_and_methods import loaded_model


def diagnosed(arguments: argparse.Namespace) -> Any:
    """What the library makes of the network that arguments name, looked at with --image or noise."""
    import torch

    from explainers.network.input import input_channels

    check_paths(arguments)
    loaded = loaded_model(arguments)
    size, channels = (224, 224), 3
    if loaded.preprocessing is not None:
        height, width = loaded.preprocessing.resized_size(256, 256)
        size, channels = loaded.preprocessing.crop or (height, width), loaded.preprocessing.channels
    else:
        channels = input_channels(loaded.network, size)
    if arguments.image:
        from explainers.data.images import read_image

        if loaded.preprocessing is None:
            raise ImageError(f"how {loaded.spec} takes a photo is not known; give --size, --crop, --mean, --std")
        photo = read_image(arguments.image, **loaded.preprocessing.reading())
        images = loaded.preprocessing(photo.input)[None]
    else:
        images = torch.randn(1, channels, *size, generator=torch.Generator().manual_seed(0))
    return explainers.diagnose(loaded, images.to(loaded.device))
