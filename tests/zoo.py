"""Networks of every family, small, with random weights that keep every part alive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torchvision
from torch import Tensor, nn


@dataclass(frozen=True)
class Entry:
    """A network: how to make it, what it takes, and the layer a person would name (None: no convention)."""

    make: Callable[[], nn.Module]
    shape: tuple[int, int, int] = (3, 64, 64)
    layer: str | None = None


def tv(name: str, **options: Any) -> Callable[[], nn.Module]:
    return lambda: getattr(torchvision.models, name)(weights=None, num_classes=7, **options)


# The one member of this family that ships is large; the same network with fewer and narrower blocks.
MAXVIT: dict[str, Any] = {
    "input_size": (64, 64),
    "stem_channels": 16,
    "partition_size": 2,
    "block_channels": [16, 16, 32, 64],
    "block_layers": [1, 1, 1, 1],
    "head_dim": 16,
    "stochastic_depth_prob": 0.1,
}

FAMILIES = {
    "alexnet": Entry(tv("alexnet"), layer="features.11"),
    "vgg11": Entry(tv("vgg11"), layer="features.19"),
    "vgg11_bn": Entry(tv("vgg11_bn"), layer="features.27"),
    "resnet18": Entry(tv("resnet18"), layer="layer4"),
    "resnet50": Entry(tv("resnet50"), layer="layer4"),
    "resnext50": Entry(tv("resnext50_32x4d"), layer="layer4"),
    "wide_resnet50": Entry(tv("wide_resnet50_2"), layer="layer4"),
    "densenet121": Entry(tv("densenet121"), layer="features"),
    "googlenet": Entry(tv("googlenet", aux_logits=False, init_weights=False), layer="inception5b"),
    "inception_v3": Entry(tv("inception_v3", aux_logits=False, init_weights=False), (3, 107, 107), "Mixed_7c"),
    "squeezenet1_1": Entry(tv("squeezenet1_1"), layer="features"),
    "mobilenet_v2": Entry(tv("mobilenet_v2"), layer="features"),
    "mobilenet_v3_small": Entry(tv("mobilenet_v3_small"), layer="features"),
    "mnasnet0_5": Entry(tv("mnasnet0_5"), layer="layers"),
    "shufflenet_v2_x0_5": Entry(tv("shufflenet_v2_x0_5"), layer="conv5"),
    "efficientnet_b0": Entry(tv("efficientnet_b0"), layer="features"),
    "efficientnet_v2_s": Entry(tv("efficientnet_v2_s"), layer="features"),
    "regnet_x_400mf": Entry(tv("regnet_x_400mf"), layer="trunk_output"),
    "regnet_y_400mf": Entry(tv("regnet_y_400mf"), layer="trunk_output"),
    "convnext_tiny": Entry(tv("convnext_tiny"), layer="features"),
    "swin_t": Entry(tv("swin_t"), layer="permute"),
    "swin_v2_t": Entry(tv("swin_v2_t"), layer="permute"),
    "vit_b_16": Entry(tv("vit_b_16", image_size=48), (3, 48, 48), "encoder.layers.encoder_layer_11.ln_1"),
    "maxvit": Entry(lambda: torchvision.models.MaxVit(num_classes=7, **MAXVIT), layer="blocks.3"),
}


def alive(network: nn.Module) -> nn.Module:
    """Random gains, statistics and zero-initialised heads; float64, evaluation mode."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.7, 1.5)
            nn.init.uniform_(module.weight, 0.8, 1.2)
            nn.init.normal_(module.bias, std=0.1)
        elif isinstance(module, (nn.Linear, nn.Conv2d)):
            fan = module.weight[0].numel()
            nn.init.normal_(module.weight, std=(2 / fan) ** 0.5)
            if module.bias is not None:
                nn.init.normal_(module.bias, std=0.1)
    return network.double().eval()


def build(entry: Entry, seed: int = 0) -> tuple[nn.Module, Tensor]:
    """The network of an entry and two images for it."""
    torch.manual_seed(seed)
    return alive(entry.make()), torch.randn(2, *entry.shape, dtype=torch.float64)
