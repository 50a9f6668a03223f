"""The layer of a segmentation network that maps are made of where none is named: the end of its encoder.

Seg-Grad-CAM (Vinogradova et al. 2020) takes the bottleneck of a U-Net, and the field takes the last stage of the
backbone. The last layer of all, which is right for classifiers, would be useless here: behind it nothing mixes
positions, so that its map is the class's own scores over again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from explainers.network.capture import Capture
from explainers.network.gradients import gradients_of
from explainers.network.input import run
from explainers.network.layer_choice import Survey
from explainers.network.layers import Layer

INTERPOLATED = 2  # places along each axis that one position of a linearly enlarged output is made of
RESOLUTIONS = 3  # of an encoder made of convolutions, at least


def bottleneck(network: Any, images: Tensor, seen: Survey, dense: Callable[[Any], Tensor | None]) -> Layer | None:
    """The last layer of the coarsest resolution inside the part of the network that reaches it first (`backbone`,
    `encoder`), behind which positions still mix; where no such part has one, the last such layer of that resolution.

    Args:
        images: (N, C, *axes), of which the first is looked at; seen: of them; dense: from what the network returns to
            scores at each position (N, classes, *grid), None where it has none.

    Returns:
        None where there are no scores at each position, or no layer with positions.

    Cost: one pass forward and back.
    """
    # Where a gradient fades to nothing on its way, nobody knows whether the scores depend on a layer (None).
    usable = [layer for layer in seen.layers if layer.fed and layer.reaches is not False and not layer.layout.tied]
    plain = [layer for layer in usable if not (layer.pooled or layer.rearranged or layer.strip)]
    if not plain:
        return None
    before = _without_decoder(plain)
    coarsest = min(map(_positions, before))
    found = [layer for layer in before if _positions(layer) == coarsest]
    mixing = _mixed_behind(network, images, found, dense)
    if mixing is None:
        return None
    part = _part(found[0], plain)
    inside = [layer for layer in mixing if _within(layer, part)]
    tokens = [layer for layer in mixing if layer.layout.sequence]
    if sum(layer.layout.sequence for layer in inside) < len(tokens) / 2:  # the embedding before a transformer's blocks
        inside = tokens
    return (inside or mixing)[-1]


def _positions(layer: Layer) -> int:
    return math.prod(layer.layout.grid)  # of a signal one axis, of a volume three


def _without_decoder(layers: list[Layer]) -> list[Layer]:
    """The layers before a decoder that becomes coarser than the encoder by itself: pools a pyramid over its features
    (PSP in UperNet, BEiT), or adds a level to them (DPT).

    Such a part comes behind one that is an encoder, and ends finer than it was. What a U-Net of blocks within blocks
    has before the next block is none.
    """
    every = layers
    while True:
        coarsest = min(layers, key=_positions)
        part = _part(coarsest, every)
        inside = [index for index, layer in enumerate(layers) if _within(layer, part)]
        before = layers[: inside[0]]
        finer = _positions(layers[inside[-1]]) > _positions(coarsest)
        if not finer or not _is_encoder(before):
            return layers
        layers = before


def _is_encoder(layers: Sequence[Layer]) -> bool:
    return any(layer.layout.sequence for layer in layers) or len({layer.layout.grid for layer in layers}) >= RESOLUTIONS


def _within(layer: Layer, part: str) -> bool:
    return layer.name == part or layer.name.startswith(f"{part}.")


def _part(layer: Layer, layers: Sequence[Layer]) -> str:
    """The outermost module around a layer that does not hold all the others too."""
    names = layer.name.split(".")
    for end in range(1, len(names) + 1):
        part = ".".join(names[:end])
        if not all(_within(other, part) for other in layers):
            return part
    return layer.name


def _mixed_behind(
    network: Any, images: Tensor, layers: list[Layer], dense: Callable[[Any], Tensor | None]
) -> list[Layer] | None:
    """The layers of which one position of the output sees more than the interpolation takes, all where none is; None
    where there are no scores at each position."""
    with torch.enable_grad(), Capture(layers, count=len(images)) as capture:
        scores = dense(run(network, images))
    if scores is None:
        return None
    if not scores.requires_grad:
        return layers
    place = scores[0]
    for side in scores.shape[2:]:
        place = place[:, side // 2]
    weights = torch.linspace(1, 2, len(place), device=place.device, dtype=place.dtype)  # a softmax sums to a constant
    gradients = gradients_of((place * weights).sum(), capture.tensors)
    found = []
    for layer, gradient in zip(layers, gradients, strict=True):
        if gradient is None:
            continue
        touched = layer.layout.spatial(gradient)[0].abs().amax(dim=0) > 0
        spread = [
            int(touched.movedim(axis, 0).reshape(side, -1).any(dim=1).sum()) for axis, side in enumerate(touched.shape)
        ]
        if max(spread) > INTERPOLATED:
            found.append(layer)
    return found or layers
