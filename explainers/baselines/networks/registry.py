"""The networks that can be trained, by their names; what they are made of is plain values that fit into a file."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from explainers.baselines.networks.abn import ABN
from explainers.baselines.networks.labn import LABN
from explainers.baselines.networks.resnet import RESNETS, resnet
from explainers.core.name_table import Names, refuse_unknown
from explainers.errors import OptionError, UnsupportedError

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
        NETWORKS.add(name, Entry(builder, attention, (builder.__doc__ or "").partition("\n")[0]))
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
    return builder(channels=channels, classes=classes, **options)


def _fits(value: Any, default: Any) -> bool:
    """Whether a value is of its default's type; a whole number is a number."""
    if default is None or value is default:
        return True
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    return isinstance(value, (int, float) if isinstance(default, float) else type(default))


@register_network("abn", attention=True)
def _abn(
    *,
    channels: int,
    classes: int,
    pretrained: str | None = None,
    backbone: str = "small-resnet",
    bypass: bool = True,
) -> nn.Module:
    """A ResNet with an attention branch before its last stage; perception sees (1 + α) ⊙ h."""
    return ABN(_backbone(backbone, channels, classes, pretrained), bypass=bypass)


@register_network("labn", attention=True)
def _labn(
    *,
    channels: int,
    classes: int,
    design: str = "magnetogram",
    threshold: float = 0.0,
    lambda_branch: bool = False,
    heads: int = 4,
    key: int = 16,
    scope: int = 23,
) -> nn.Module:
    """Lambda feature extractor, attention branch, lambda perception branch that sees α ⊙ h alone."""
    return LABN(
        design,
        channels=channels,
        classes=classes,
        threshold=threshold,
        lambda_branch=lambda_branch,
        heads=heads,
        key=key,
        scope=scope,
    )


@register_network("plain", attention=False)
def _plain(*, channels: int, classes: int, pretrained: str | None = None, backbone: str = "small-resnet") -> nn.Module:
    """A ResNet, or any classifier of a library, as it is."""
    return _backbone(backbone, channels, classes, pretrained)


@register_network("lambda-resnet", attention=False)
def _lambda_resnet(
    *,
    channels: int,
    classes: int,
    backbone: str = "small-lambda-resnet",
    scope: int | None = None,
    heads: int = 4,
    key: int = 16,
) -> nn.Module:
    """A ResNet with lambda layers in place of 3 × 3 convolutions."""
    changes = {"heads": heads, "key": key, **({"scope": scope} if scope is not None else {})}
    return resnet(backbone, channels=channels, classes=classes, lambdas=True, **changes)


def _backbone(spec: str, channels: int, classes: int, pretrained: str | None) -> nn.Module:
    """One of our ResNets, or a library's network with its first and last layer fitted."""
    if ":" not in spec:
        return resnet(spec, channels=channels, classes=classes)
    from explainers.models import load_model

    loaded = load_model(spec, weights=pretrained, device="cpu")
    if not isinstance(loaded.network, nn.Module):
        raise UnsupportedError(f"{spec} is no torch.nn.Module, so it cannot be trained")
    return fitted(loaded.network, channels, classes)


def fitted(network: nn.Module, channels: int, classes: int) -> nn.Module:
    """The network with its first convolution for that many channels and its last linear layer for that many classes.

    A first convolution of colour images that now sees one channel gets the sum of its weights, which is what a gray
    image in three equal channels made of it; otherwise their mean, scaled. A last layer of another size is drawn anew.

    Raises:
        UnsupportedError: it has no convolution or no linear layer.
    """
    convolutions = [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Conv2d)]
    linears = [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not convolutions or not linears:
        raise UnsupportedError(f"{type(network).__name__} has no first convolution and last linear layer to fit")
    (name, first), (last_name, last) = convolutions[0], linears[-1]
    if first.in_channels != channels:
        made = nn.Conv2d(
            channels,
            first.out_channels,
            first.kernel_size,  # type: ignore[arg-type]
            first.stride,  # type: ignore[arg-type]
            first.padding,  # type: ignore[arg-type]
            bias=first.bias is not None,
        )
        with torch.no_grad():
            mean = first.weight.mean(dim=1, keepdim=True) * (first.in_channels / channels)
            made.weight.copy_(mean.expand_as(made.weight))
            if first.bias is not None and made.bias is not None:
                made.bias.copy_(first.bias)
        network.set_submodule(name, made)
    if last.out_features != classes:
        network.set_submodule(last_name, nn.Linear(last.in_features, classes, bias=last.bias is not None))
    return network


__all__ = ["RESNETS", "available_networks", "create_network", "network_options", "register_network"]
