"""What a network returned for a batch, taken apart into what it returned for each image."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor

from explainers.errors import OutputError
from explainers.network.output import Output, main_output


def count_of(returned: Any, output: Output | None = None) -> int | None:
    """For how many images a network returned this: as many as what is read of it has rows, else by its structure."""
    try:
        value = main_output(returned) if output is None else output(returned)
    except OutputError:
        value = None
    return len(value) if isinstance(value, Tensor) and value.ndim else images_in(returned)


def images_in(returned: Any) -> int | None:
    """For how many images a network returned this, None where that cannot be told: the length of its first tensor, or
    of a list of mappings (one for each image)."""
    if isinstance(returned, Tensor):
        return len(returned) if returned.ndim else None
    listed = isinstance(returned, (list, tuple)) and len(returned) > 0
    if listed and all(isinstance(item, Mapping) or is_dataclass(item) for item in returned):
        return len(returned)
    parts: Any = returned.values() if isinstance(returned, Mapping) else returned
    if not isinstance(parts, (list, tuple)) and not isinstance(returned, Mapping):
        parts = list(getattr(returned, "__dict__", {}).values())
    return next((count for count in map(images_in, parts) if count is not None), None)


def image_of(returned: Any, index: int, count: int, *, batched: bool) -> Any:
    """What a network returned for one of `count` images, in the structure that it has.

    Args:
        batched: whether tensors keep a batch dimension of 1, and lists of one item for each image theirs.
    """

    def pick(value: Tensor) -> Tensor:
        if value.ndim == 0 or len(value) != count:
            return value  # the same for all images
        return value[index : index + 1] if batched else value[index]

    return _mapped(returned, pick, lambda items: [items[index]] if batched else items[index], count)


def as_batch(returned: Any) -> Any:
    """What a network returned for one image, with a batch dimension of 1 in front of each tensor."""
    return _mapped(returned, lambda value: value[None], lambda items: items, -1)


def _mapped(value: Any, tensor: Callable[[Tensor], Any], per_image: Callable[[Any], Any], count: int) -> Any:
    def inside(part: Any) -> Any:
        return _mapped(part, tensor, per_image, count)

    if isinstance(value, Tensor):
        return tensor(value)
    if isinstance(value, Mapping):
        parts = {key: inside(part) for key, part in value.items()}
        if type(value) is dict:
            return parts
        try:  # a transformers ModelOutput, whose parts are attributes too
            return type(value)(**parts)
        except TypeError:
            return parts
    if isinstance(value, (list, tuple)):
        if len(value) == count and not any(isinstance(item, Tensor) for item in value):
            return per_image(value)
        parts_of = [inside(item) for item in value]
        return type(value)(*parts_of) if hasattr(value, "_fields") else type(value)(parts_of)
    if is_dataclass(value) and not isinstance(value, type):
        other = copy.copy(value)
        for field in fields(value):
            object.__setattr__(other, field.name, inside(getattr(value, field.name)))
        return other
    held = {name: part for name, part in getattr(value, "__dict__", {}).items() if isinstance(part, (Tensor, tuple))}
    if held:
        other = copy.copy(value)
        for name, part in held.items():
            setattr(other, name, inside(part))
        return other
    return value
