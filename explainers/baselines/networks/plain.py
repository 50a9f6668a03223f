"""Classifiers without a branch: a network of our own, or a library's fitted to other images and classes."""

from __future__ import annotations

import torch
from torch import nn

from explainers.baselines.networks.registry import register_network
from explainers.baselines.networks.resnet import RESNETS, resnet
from explainers.baselines.networks.vision_transformer import SIZES, vision_transformer
from explainers.errors import OptionError, UnsupportedError
from explainers.models import load_model


@register_network("plain", attention=False)
def _plain(*, channels: int, classes: int, pretrained: str | None = None, backbone: str = "small-resnet") -> nn.Module:
    """A ResNet, a small vision transformer, or any classifier of a library, as it is."""
    return classifier(backbone, channels, classes, pretrained)


def classifier(spec: str, channels: int, classes: int, pretrained: str | None, *, redrawn: bool = True) -> nn.Module:
    """One of our ResNets or vision transformers, or a library's network with its first and last layer fitted.

    Args:
        redrawn: whether a last layer of another size may be drawn anew; False for networks that never learn it.

    Raises:
        OptionError: there is none of this name. UnsupportedError: it is no module, or has another number of classes
        and may not.
    """
    if spec in SIZES:
        return vision_transformer(spec, channels=channels, outputs=classes)
    if spec in RESNETS:
        return resnet(spec, channels=channels, classes=classes)
    if ":" not in spec:
        raise OptionError(
            f"no network {spec!r}; there are {', '.join([*RESNETS, *sorted(SIZES)])}, and a library's, such as "
            "torchvision:resnet18"
        )
    loaded = load_model(spec, weights=pretrained, device="cpu")
    if not isinstance(loaded.network, nn.Module):
        raise UnsupportedError(f"{spec} is no torch.nn.Module, so it cannot be trained")
    last = [module for module in loaded.network.modules() if isinstance(module, nn.Linear)][-1:]
    if not redrawn and last and last[0].out_features != classes:
        raise UnsupportedError(
            f"{spec} with weights {pretrained} has {last[0].out_features} classes and the data {classes}: its last "
            "layer would be drawn at random and never learn. Train it on these data first (explain train plain "
            f"--backbone {spec} --weights {pretrained}), then start from that training (--resume-from RUN)"
        )
    return fitted(loaded.network, channels, classes)


def fitted(network: nn.Module, channels: int, classes: int) -> nn.Module:
    """The network with its first convolution for that many channels and its last linear layer for that many classes.

    A first convolution of colour images that now sees one channel gets the sum of its weights, which is what a gray
    image in three equal channels made of it; otherwise their mean, scaled. A last layer of another size is drawn anew.

    Raises:
        UnsupportedError: it has no convolution or no linear layer.
    """
    fitted_convolution(network, channels)
    linears = [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not linears:
        raise UnsupportedError(f"{type(network).__name__} has no last linear layer to fit")
    last_name, last = linears[-1]
    if last.out_features != classes:
        network.set_submodule(last_name, nn.Linear(last.in_features, classes, bias=last.bias is not None))
    return network


def fitted_convolution(network: nn.Module, channels: int) -> nn.Module:
    """The network with its first convolution for that many channels, as in `fitted`.

    Raises:
        UnsupportedError: it has no convolution.
    """
    convolutions = [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Conv2d)]
    if not convolutions:
        raise UnsupportedError(f"{type(network).__name__} has no first convolution to fit")
    name, first = convolutions[0]
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
    return network
