"""Batches taken apart: for networks that insist on another batch size, and for those of several inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from explainers.core.targets import of_rows
from explainers.network.guard import alone
from explainers.network.inputs import Inputs, Key, inputs_of


@dataclass(frozen=True)
class Explained:
    """Heat maps with what some methods know about them.

    maps: as `Explainer.__call__` returns them; standard_error: of each value, in the same shape, or None; details: for
    each image, such as how many masks were used.
    """

    maps: Tensor
    standard_error: Tensor | None = None
    details: tuple[dict[str, Any], ...] = ()


Explain = Callable[[Tensor, Any], Explained]


def joined(parts: Sequence[Explained], count: int) -> Explained:
    """The first `count` maps of all parts."""
    errors = [part.standard_error for part in parts if part.standard_error is not None]
    details = [each for part in parts for each in part.details]
    return Explained(
        torch.cat([part.maps for part in parts])[:count],
        torch.cat(errors)[:count] if errors else None,
        tuple(details[:count]),
    )


def in_batches(explain: Explain, images: Tensor, targets: Any, size: int) -> Explained:
    """Maps in batches of exactly `size`, the last one filled up with copies of its last image."""
    parts = []
    for start in range(0, len(images), size):
        rows = [min(start + row, len(images) - 1) for row in range(size)]
        parts.append(explain(images[rows], of_rows(targets, rows, len(images))))
    return joined(parts, len(images))


def input_by_input(
    explainer: Any, images: Any, targets: Any, explain: Key | None, keywords: Mapping[str, Any] | None
) -> dict[Key, Explained]:
    """Maps of each explained input, image by image: every pass is of one image and what that one comes with.

    Args:
        explainer: an `Explainer`; images, explain, keywords: as for `explainers.network.inputs.inputs_of`.
    """
    inputs, keys = inputs_of(explainer.network, images, explain, keywords)
    made: dict[Key, Explained] = {}
    layers: tuple[str, ...] = ()
    for key in keys:
        other = explainer.bound_to(inputs, key)
        made[key] = _image_by_image(other, inputs, key, targets)
        layers += other.layers
    explainer.layers = layers
    return made


def _image_by_image(explainer: Any, inputs: Inputs, key: Key, targets: Any) -> Explained:
    parts = []
    for row in range(len(inputs)):
        own = inputs[[row]]
        wanted = targets if isinstance(targets, str) else of_rows(targets, [row], len(inputs))
        with alone(explainer.network), explainer.network.given(own):
            parts.append(explainer.explain(own.parts[key], wanted))
    return joined(parts, len(inputs))
