"""Maps and masks as the evaluation takes them, or what is wrong with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from explainers.core.maps import as_tensor
from explainers.errors import MapError


def checked_maps(maps: Any, images: Tensor, name: str) -> Tensor:
    """Maps as float32 on the images' device.

    Raises:
        MapError: not (N, *axes) of the images.
    """
    wanted = (len(images), *images.shape[2:])
    if not isinstance(maps, Tensor):
        try:
            maps = as_tensor(np.asarray(maps))
        except (TypeError, ValueError, RuntimeError) as error:
            raise MapError(f"{name}: expected maps {tuple(wanted)}, got {type(maps).__name__}") from error
    if tuple(maps.shape) != wanted:
        hint = ""
        if maps.ndim == images.ndim and tuple(maps.shape[2:]) == wanted[1:]:
            hint = "; reduce its channels or classes to one map per image"
        elif maps.ndim == len(wanted):
            hint = "; enlarge maps to the size of the images, for example bilinearly"
        raise MapError(f"{name}: maps of shape {tuple(maps.shape)} for images of {wanted}, expected {wanted}{hint}")
    if maps.is_complex():
        raise MapError(f"{name}: maps are {maps.dtype}, expected real numbers")
    return maps.detach().to(device=images.device, dtype=torch.float32)


def checked_masks(masks: Any, images: Tensor) -> Tensor | None:
    """Masks as bool on the images' device.

    Raises:
        MapError: not (N, *axes) of the images, not 0 and 1, or one of them empty.
    """
    if masks is None:
        return None
    masks = as_tensor(masks)
    wanted = (len(images), *images.shape[2:])
    if tuple(masks.shape) != wanted:
        raise MapError(
            f"masks of shape {tuple(masks.shape)} for images of {wanted}; expected {wanted}, one mask for each image"
        )
    if masks.dtype != torch.bool:
        if not bool(((masks == 0) | (masks == 1)).all()):
            raise MapError("masks must be bool, or 0 outside and 1 inside")
        masks = masks == 1
    empty = (~masks.flatten(1).any(dim=1)).nonzero().flatten().tolist()
    if empty:
        raise MapError(f"the mask of image {', '.join(map(str, empty[:8]))} of the batch has nothing inside")
    return masks.to(images.device)
