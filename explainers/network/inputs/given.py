"""From what a user passes as images to a batch of inputs, and to which of them is explained."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from explainers.errors import ImageError, OptionError
from explainers.network.input import checked_images, first_parameter
from explainers.network.inputs.inputs import MAPPING, NAMES, POSITIONS, SEQUENCE, Inputs, Key
from explainers.network.unwrapping import class_name

ALL = "all"
FIXED = "a tensor that belongs to no image is bound in a torch.nn.Module around the network"


def are_several(images: Any) -> bool:
    """Whether these are inputs, each by its name or position, rather than one batch of images."""
    return isinstance(images, Mapping) or (isinstance(images, (tuple, list)) and any(map(_is_input, images)))


def inputs_of(
    network: Any, images: Any, explain: Key | None = None, keywords: Mapping[str, Any] | None = None
) -> tuple[Inputs, tuple[Key, ...]]:
    """A batch of inputs as the network can take it, and the keys of those that are explained.

    Args:
        network: a module or callable; images: a tensor, a tuple or list of inputs by position, or a mapping by name;
            explain: which input, by its name or position; "all"; or None where one of them alone is an image;
            keywords: of forward, besides.

    Raises:
        ImageError: forward does not take these inputs; one has another number of rows; what is explained is no image.
        OptionError: there is no such input, or it has to be said which is meant.
    """
    if not isinstance(images, (Tensor, Mapping, tuple, list)):
        raise ImageError(f"expected a tensor, or a tuple or mapping of inputs, got {type(images).__name__}")
    named = isinstance(images, Mapping)
    parts: dict[Key, Any] = (
        dict(images) if named else dict(enumerate([images] if isinstance(images, Tensor) else images))
    )
    parts = {key: _detached(value) for key, value in parts.items()}
    given = dict(keywords or {})
    style = _style(network, parts, given, named=named)
    keys = chosen(network, parts, explain)
    counts = set()
    for key in keys:
        parts[key] = _image(network, parts[key], key)
        counts.add(len(parts[key]))
    if len(counts) > 1:
        raise ImageError(f"the inputs {_listed(keys)} have {_listed(sorted(counts))} rows; expected as many")
    count = counts.pop()
    for key, value in parts.items():
        _check_rows(network, f"input {key!r}", value, count, f"input {keys[0]!r}")
    for name, value in given.items():
        _check_rows(network, f"forward_kwargs[{name!r}]", value, count, f"input {keys[0]!r}")
    return Inputs(parts, count, style, {name: _detached(value) for name, value in given.items()}), keys


def chosen(network: Any, parts: Mapping[Key, Any], explain: Key | None) -> tuple[Key, ...]:
    """The keys of the inputs that are explained.

    Raises:
        OptionError: as for `inputs_of`.
    """
    if explain in parts and not isinstance(explain, bool):
        return (explain,)  # type: ignore[return-value]
    found = places(parts)
    if explain == ALL and found:
        return found
    if explain is None and len(found) == 1:
        return found
    keys = list(parts)
    if isinstance(explain, int) and not isinstance(explain, bool) and 0 <= explain < len(keys):
        return (keys[explain],)
    names = _parameters(network)
    if isinstance(explain, str) and explain in names and names.index(explain) in parts:
        return (names.index(explain),)
    known = ", ".join(f"{key!r}" for key in keys)
    if explain is None or explain == ALL:
        what = f"the inputs {_listed(found)} are images" if found else "none of them is a float tensor with positions"
        raise OptionError(f"several inputs ({known}), and {what}; say which to explain: explain={keys[0]!r}")
    raise OptionError(f"explain={explain!r} is none of the inputs; they are {known}" + _forward(network))


def places(parts: Mapping[Key, Any]) -> tuple[Key, ...]:
    """The inputs that are images: float tensors of four dimensions and more, or of three where none has more."""
    floats = {
        key: value.ndim for key, value in parts.items() if isinstance(value, Tensor) and value.is_floating_point()
    }
    found = tuple(key for key, dimensions in floats.items() if dimensions >= 4)
    return found or tuple(key for key, dimensions in floats.items() if dimensions == 3)


def _image(network: Any, value: Any, key: Key) -> Tensor:
    if isinstance(value, Tensor) and value.ndim < 3:
        raise ImageError(
            f"input {key!r} has shape {tuple(value.shape)} and no positions, so there is no map of it; explain an "
            "image, and give this one along"
        )
    try:
        return checked_images(value, network)
    except ImageError as error:
        raise ImageError(f"input {key!r}: {error}") from error


def _check_rows(network: Any, what: str, value: Any, count: int, images: str) -> None:
    parameter = first_parameter(network)
    for leaf in tree_leaves(value):
        if not isinstance(leaf, Tensor):
            if hasattr(leaf, "__array__"):
                raise ImageError(f"{what} is a {type(leaf).__name__}; pass a tensor: torch.as_tensor(…)")
            continue
        if leaf.ndim and len(leaf) not in (1, count):
            raise ImageError(
                f"{what} has {len(leaf)} rows (shape {tuple(leaf.shape)}) and {images} has {count}; expected a row for "
                f"each image, or one row for all; {FIXED}"
            )
        if parameter is not None and leaf.device != parameter.device:
            raise ImageError(
                f"{what} is on {leaf.device} and the network is on {parameter.device}; move it: "
                f".to({str(parameter.device)!r})"
            )


def _style(network: Any, parts: Mapping[Key, Any], keywords: Mapping[str, Any], *, named: bool) -> str:
    """How forward takes the inputs.

    Raises:
        ImageError: it does not.
    """
    if not parts:
        raise ImageError("there are no inputs" + _forward(network))
    signature = _signature(network)
    if signature is None:
        return NAMES if named else POSITIONS
    values = () if named else tuple(parts)
    own = {str(key): value for key, value in parts.items()} if named else {}
    if not set(own) & set(keywords) and _binds(signature, values, {**own, **keywords}):
        return NAMES if named else POSITIONS
    single = [name for name in _parameters(network) if name not in keywords]
    if len(single) == 1 and len(parts) > (0 if named else 1) and _binds(signature, (parts,), keywords):
        return MAPPING if named else SEQUENCE
    given = [*(repr(key) for key in parts)] if named else [f"{len(parts)} by position"]
    more = f" and forward_kwargs {_listed(tuple(keywords))}" if keywords else ""
    lacking = _lacking(signature, values, {**own, **keywords})
    without = f", without {_listed(lacking)}" if lacking else ""
    raise ImageError(
        f"the network cannot be called with the inputs {', '.join(given)}{more}{without}" + _forward(network)
    )


def _binds(signature: inspect.Signature, values: tuple[Any, ...], named: Mapping[str, Any]) -> bool:
    try:
        signature.bind(*values, **named)
    except TypeError:
        return False
    return True


def _lacking(signature: inspect.Signature, values: tuple[Any, ...], named: Mapping[str, Any]) -> list[str]:
    """Arguments that forward needs and that are not given."""
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    own = [each for each in signature.parameters.values() if each.kind not in several]
    left = own[len(values) :]
    return [each.name for each in left if each.default is each.empty and each.name not in named]


def _signature(network: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(network.forward if isinstance(network, nn.Module) else network)
    except (TypeError, ValueError):  # written in C
        return None


def _parameters(network: Any) -> list[str]:
    signature = _signature(network)
    found = signature.parameters.values() if signature is not None else ()
    return [each.name for each in found if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]


def _forward(network: Any) -> str:
    signature = _signature(network)
    return "" if signature is None else f"; {class_name(network)}.forward takes {signature}"


def _is_input(value: Any) -> bool:
    return isinstance(value, (Tensor, Mapping)) or value is None


def _detached(value: Any) -> Any:
    return tree_map_only(Tensor, lambda leaf: leaf.detach(), value)


def _listed(keys: Any) -> str:
    return ", ".join(map(repr, keys))
