"""Inputs made up for a network of several, so that it can be looked at with an image alone."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from itertools import islice, product
from typing import Any

import torch
from torch import Tensor, nn

from explainers.network.input import first_parameter, runs
from explainers.network.inputs.bound import bound
from explainers.network.inputs.inputs import Inputs, Key

PASSES = 64  # that are tried at most
WIDTHS = 8  # of vectors


def needed(network: Any) -> list[str]:
    """The arguments of forward that have no default."""
    if not isinstance(network, nn.Module):
        return []
    try:
        parameters = list(inspect.signature(network.forward).parameters.values())
    except (TypeError, ValueError):
        return []
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [each.name for each in parameters if each.kind in plain and each.default is inspect.Parameter.empty]


def made_up(network: Any, images: Any) -> tuple[Inputs, str] | None:
    """Inputs that the network runs with, of which the image is the first, and what the others are in words.

    Each other one is noise of the image's shape, a vector as wide as a linear layer takes, one number, or an index: the
    first of all combinations with which a pass ends.

    Args:
        images: (N, C, *axes), of which the first is taken.

    Returns:
        None where no combination works, the network has one input, or there is no image.

    Cost: at most 64 forward passes.
    """
    names = needed(network)
    if len(names) < 2 or not isinstance(images, Tensor) or 0 in images.shape:
        return None
    parameter = first_parameter(network)
    image = images[:1].detach() if parameter is None else images[:1].detach().to(parameter.dtype)
    for choice in islice(product(list(_guesses(network, image)), repeat=len(names) - 1), PASSES):
        parts: dict[Key, Any] = dict(enumerate([image, *(value for _, value in choice)]))
        inputs = Inputs(parts, 1)
        one = bound(network, 0)
        with one.given(inputs):
            if runs(one, image):
                said = (f"{name} {what}" for name, (what, _) in zip(names[1:], choice, strict=True))
                return inputs, ", ".join(said)
    return None


def _guesses(network: nn.Module, image: Tensor) -> Iterator[tuple[str, Tensor]]:
    draw = torch.Generator().manual_seed(1)

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float32, device="cpu").to(image)

    yield f"noise of shape {tuple(image.shape)}", noise(*image.shape)
    linear = [module.in_features for module in network.modules() if isinstance(module, nn.Linear)]
    for width in list(dict.fromkeys(linear))[:WIDTHS]:
        yield f"noise of shape {(1, width)}", noise(1, width)
    yield "the index 0", torch.zeros(1, dtype=torch.int64, device=image.device)
    yield "one number", noise(1)
