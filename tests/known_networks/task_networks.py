"""Small networks of every task: segmentation, values, embeddings, volumes, signals. Structures that differ, one each."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
POOLINGS = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}


class Plain(nn.Module):
    """Convolutions, each with a ReLU, with a pooling in between; global average; linear."""

    def __init__(self, axes: int = 2, out: int = 4, channels: int = 3, kernel: Any = 3) -> None:
        super().__init__()
        kernel = (kernel,) * axes if isinstance(kernel, int) else kernel
        padding = tuple(side // 2 for side in kernel)
        self.first = CONVOLUTIONS[axes](channels, 6, kernel, padding=padding)
        self.act, self.pool = nn.ReLU(), POOLINGS[axes](2)
        self.second = CONVOLUTIONS[axes](6, 8, kernel, padding=padding)
        self.last = nn.ReLU()
        self.head = nn.Linear(8, out)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.last(self.second(self.pool(self.act(self.first(x))))).flatten(2).mean(2))


class Skipping(nn.Module):
    """A strided block with batch norm, in-place ReLUs and a skip connection with a projection."""

    def __init__(self, axes: int = 2, out: int = 4, channels: int = 3) -> None:
        super().__init__()
        convolution, norm = CONVOLUTIONS[axes], NORMS[axes]
        self.stem = nn.Sequential(convolution(channels, 6, 3, padding=1, bias=False), norm(6), nn.ReLU(inplace=True))
        self.one = nn.Sequential(convolution(6, 8, 3, 2, 1, bias=False), norm(8), nn.ReLU(inplace=True))
        self.two = nn.Sequential(convolution(8, 8, 3, padding=1, bias=False), norm(8))
        self.beside = nn.Sequential(convolution(6, 8, 1, 2, bias=False), norm(8))
        self.last = nn.ReLU(inplace=True)
        self.head = nn.Linear(8, out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.head(self.last(self.two(self.one(x)) + self.beside(x)).flatten(2).mean(2))


class Branched(nn.Module):
    """Two dilated branches beside each other, concatenated; the mean over positions of the rest, then two layers."""

    def __init__(self, axes: int = 2, out: int = 4, channels: int = 3) -> None:
        super().__init__()
        convolution = CONVOLUTIONS[axes]
        self.near = convolution(channels, 5, 3, padding=1)
        self.far = convolution(channels, 5, 3, padding=2, dilation=2)
        self.join = convolution(10, 8, 3, 2, 1)
        self.last = nn.ReLU()
        self.head = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, out))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([F.relu(self.near(x)), F.relu(self.far(x))], dim=1)
        return self.head(self.last(self.join(x)).flatten(2).mean(2))


class Smooth(nn.Module):
    """Grouped convolutions with GELU and no ReLU; the largest value over the positions decides."""

    def __init__(self, axes: int = 2, out: int = 4, channels: int = 3) -> None:
        super().__init__()
        convolution = CONVOLUTIONS[axes]
        self.first = convolution(channels, 6, 3, 2, 1)
        self.second = convolution(6, 8, 3, padding=1, groups=2)
        self.last = nn.GELU()
        self.head = nn.Linear(8, out)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.last(self.second(F.gelu(self.first(x)))).flatten(2).amax(2))


class Flattened(nn.Module):
    """Pooled to few positions that are told apart, as VGG's head; a functional ReLU by clamp."""

    def __init__(self, axes: int = 2, out: int = 4, channels: int = 3) -> None:
        super().__init__()
        self.first = CONVOLUTIONS[axes](channels, 6, 3, padding=1)
        self.second = CONVOLUTIONS[axes](6, 8, 3, 2, 1)
        self.last = nn.ReLU()
        self.pool = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}[axes](2)
        self.head = nn.Linear(8 * 2**axes, out)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.last(self.second(self.first(x).clamp(min=0)))).flatten(1))


HEADED = {
    "plain": Plain,
    "skip connection": Skipping,
    "branches": Branched,
    "GELU, maximum": Smooth,
    "flattened": Flattened,
}


class UNet(nn.Module):
    """Two levels with a skip connection; the output has the image's size."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU())
        self.layer = nn.Sequential(nn.Conv2d(6, 8, 3, padding=1), nn.ReLU())
        self.up, self.head = nn.Sequential(nn.Conv2d(14, 6, 3, padding=1), nn.ReLU()), nn.Conv2d(6, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.down(x)
        deep = F.interpolate(self.layer(F.max_pool2d(first, 2)), size=first.shape[2:], mode="bilinear")
        return self.head(self.up(torch.cat([first, deep], dim=1)))


class Coarse(nn.Module):
    """An output of a quarter of the image's size, in a dict with an auxiliary head, as torchvision's have it."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU())
        self.classifier, self.aux = nn.Conv2d(8, classes, 3, padding=1), nn.Conv2d(8, classes, 1)

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        features = self.layer(x)
        return OrderedDict(out=self.classifier(features), aux=self.aux(features))


class Transposed(nn.Module):
    """An encoder with batch norm and a decoder of transposed convolutions, without skip connections."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.layer = nn.Sequential(
            nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU()
        )
        self.up = nn.Sequential(nn.ConvTranspose2d(8, 6, 2, 2), nn.ReLU(), nn.ConvTranspose2d(6, classes, 2, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.up(self.layer(x))


class Pyramid(nn.Module):
    """Rates of dilation beside each other and the mean of the image, as DeepLab's head; enlarged at the end."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU())
        self.rates = nn.ModuleList([nn.Conv2d(8, 4, 3, padding=rate, dilation=rate) for rate in (1, 2, 4)])
        self.whole, self.head = nn.Conv2d(8, 4, 1), nn.Conv2d(16, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        features = self.layer(x)
        parts = [F.relu(rate(features)) for rate in self.rates]
        whole = F.relu(self.whole(features.mean((2, 3), keepdim=True))).expand_as(parts[0])
        return F.interpolate(self.head(torch.cat([*parts, whole], dim=1)), size=x.shape[2:], mode="bilinear")


class Lesion(nn.Module):
    """One channel: a lesion or not, by its sigmoid; SiLU instead of ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.SiLU(), nn.Conv2d(6, 8, 3, padding=1), nn.SiLU())
        self.head = nn.Conv2d(8, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(self.head(self.layer(x)), scale_factor=2, mode="nearest")


class Levels(nn.Module):
    """One level down and up with a skip connection, over one axis or three."""

    def __init__(self, axes: int, classes: int = 3) -> None:
        super().__init__()
        conv = CONVOLUTIONS[axes]
        self.down, self.act, self.pool = conv(3, 4, 3, padding=1), nn.ReLU(), POOLINGS[axes](2)
        self.bottle, self.layer = conv(4, 6, 3, padding=1), nn.ReLU()
        self.up, self.last, self.head = conv(10, 5, 3, padding=1), nn.ReLU(), conv(5, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.act(self.down(x))
        deep = self.layer(self.bottle(self.pool(first)))
        deep = F.interpolate(deep, size=first.shape[2:], mode="nearest")
        return self.head(self.last(self.up(torch.cat([first, deep], dim=1))))


SEGMENTERS = {
    "U-Net": UNet,
    "coarse, dict": Coarse,
    "transposed": Transposed,
    "dilated": Pyramid,
    "one channel": Lesion,
}


def drawn(network: nn.Module, seed: int) -> nn.Module:
    """In float64 and evaluation mode, with weights and statistics away from the identity that keep layers at work."""
    rng = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.copy_(0.2 * torch.randn(module.running_mean.shape, generator=rng))
            module.running_var.copy_(0.5 + torch.rand(module.running_var.shape, generator=rng))
        for name, value in module.named_parameters(recurse=False):
            with torch.no_grad():
                noise = torch.randn(value.shape, generator=rng)
                spread = (2 / value[0].numel()) ** 0.5 if value.ndim > 1 else 0.3
                value.copy_(
                    noise * spread + (1.0 if "BatchNorm" in type(module).__name__ and name == "weight" else 0.0)
                )
    return network.double().eval()
