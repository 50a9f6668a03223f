"""The networks that can be trained, by their names; what they are made of is plain values that fit into a file."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from explainers.core.name_table import Names, refuse_unknown
from explainers.errors import OptionError

Builder = Callable[..., nn.Module]


@dataclass(frozen=True)
class Entry:
    """A network that can be trained. attention: whether it has an attention branch; summary: what it is."""

    builder: Builder
    attention: bool
    summary: str


NETWORKS: Names[Entry] = Names("network")


def register_network(name: str, *, attention: bool) -> Callable[[Builder], Builder]:
    """Decorator: makes a builder (channels, classes, **options) → network known under a name; its docstring is shown.

    Args:
        attention: whether what it makes follows the protocol of `AttentionNetwork`.
    """

    def keep(builder: Builder) -> Builder:
        NETWORKS.add(name, Entry(builder, attention, (builder.__doc__ or "").partition("\n")[0]), builder)
        return builder

    return keep


def available_networks() -> tuple[str, ...]:
    """Their names, sorted."""
    return tuple(NETWORKS)


def network_entry(name: str) -> Entry:
    """What is known about a network.

    Raises:
        OptionError: no such network.
    """
    return NETWORKS.find(name)


def network_options(name: str) -> dict[str, Any]:
    """The options of a network with their defaults.

    Raises:
        OptionError: no such network.
    """
    parameters = inspect.signature(network_entry(name).builder).parameters.values()
    return {each.name: each.default for each in parameters if each.name not in ("channels", "classes", "pretrained")}


def create_network(
    name: str, *, channels: int = 3, classes: int = 1000, weights: str | None = None, **options: Any
) -> nn.Module:
    """A network with fresh weights.

    Args:
        name: one of `available_networks()`; channels: of the images; classes: how many logits.
        weights: of a library's backbone: "DEFAULT", a name that the library knows, or a file.
        options: of the network, see `network_options`.

    Raises:
        OptionError: an unknown name or option. UnsupportedError: the backbone cannot be cut. ModelFileError: the
        backbone or its weights cannot be loaded.
    """
    builder, known = network_entry(name).builder, network_options(name)
    refuse_unknown(name, options, known)
    for key, value in options.items():
        if not _fits(value, known[key]):
            kind = "true or false" if isinstance(known[key], bool) else type(known[key]).__name__
            raise OptionError(f"{name}: {key}={value!r}; expected {kind}, such as {known[key]!r}")
    if weights is not None:
        if ":" not in str(options.get("backbone", known.get("backbone", ""))):
            raise OptionError(
                f"weights={weights!r}: {name} with these options starts from nothing; weights belong to a "
                "library's backbone, such as torchvision:resnet18"
            )
        options["pretrained"] = weights
    made = builder(channels=channels, classes=classes, **options)
    made.gives_logits = True  # type: ignore[assignment] # also where those of an early epoch look like probabilities
    return made


def _fits(value: Any, default: Any) -> bool:
    """Whether a value is of its default's type; a whole number is a number."""
    if default is None or value is default:
        return True
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    return isinstance(value, (int, float) if isinstance(default, float) else type(default))
