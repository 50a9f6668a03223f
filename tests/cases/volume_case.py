"""Networks of volumes and signals that the tests share, and the same network over another number of axes."""

from __future__ import annotations

import functools

import torch
import torchvision
from torch import Tensor, nn

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
POOLINGS = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}


class Stack(nn.Module):
    """Two convolutions with batch norm, ReLU and a pooling, then CAM's head; kernels may differ from axis to axis."""

    def __init__(self, axes: int, kernel, pool=2, stride=1, channels: int = 2) -> None:
        super().__init__()
        kernel = (kernel,) * axes if isinstance(kernel, int) else kernel
        padding = tuple(side // 2 for side in kernel)
        convolution = CONVOLUTIONS[axes]
        self.first = convolution(channels, 6, kernel, padding=padding)
        self.norm, self.act, self.pool = NORMS[axes](6), nn.ReLU(), POOLINGS[axes](pool)
        self.second = convolution(6, 8, kernel, stride, padding)
        self.last = nn.ReLU()
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.act(self.norm(self.first(x))))
        return self.head(self.last(self.second(x)).flatten(2).mean(2))


class Residual(nn.Module):
    """A block with a skip connection, a projection and in-place ReLUs, as 3-D residual networks have them."""

    def __init__(self, axes: int = 3) -> None:
        super().__init__()
        convolution, norm = CONVOLUTIONS[axes], NORMS[axes]
        self.stem = nn.Sequential(convolution(1, 6, 3, padding=1), nn.ReLU(inplace=True))
        stride = (1,) + (2,) * (axes - 1)
        self.block = nn.ModuleDict(
            {
                "one": nn.Sequential(convolution(6, 8, 3, stride, 1, bias=False), norm(8), nn.ReLU(inplace=True)),
                "two": nn.Sequential(convolution(8, 8, 3, padding=1, bias=False), norm(8)),
                "beside": nn.Sequential(convolution(6, 8, 1, stride, bias=False), norm(8)),
            }
        )
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.relu(self.block["two"](self.block["one"](x)) + self.block["beside"](x))
        return self.head(x.flatten(2).mean(2))


def settled(network: nn.Module) -> nn.Module:
    """In evaluation mode, batch norms away from identity and scores away from each other."""
    rng = torch.Generator().manual_seed(5)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.copy_(0.2 * torch.randn(module.running_mean.shape, generator=rng))
            module.running_var.copy_(0.5 + torch.rand(module.running_var.shape, generator=rng))
    with torch.no_grad():
        heads = [module for module in network.modules() if isinstance(module, nn.Linear)]
        heads[-1].weight.copy_(torch.randn(heads[-1].weight.shape, generator=rng))
    return network.eval()


def with_weights_of(other: nn.Module, network: nn.Module) -> nn.Module:
    """A network with another's weights, which differ in axes of size 1 alone."""
    theirs = other.state_dict()
    network.load_state_dict({key: theirs[key].reshape(value.shape) for key, value in network.state_dict().items()})
    return network.eval()


def slices_and_volumes(depth: int = 3) -> tuple[nn.Module, Tensor, nn.Module, Tensor]:
    """A network of images and some, and the network that sees each slice of a volume so, with volumes of equal slices."""
    flat = settled(Stack(2, 3, channels=2))
    deep = with_weights_of(flat, Stack(3, (1, 3, 3), (1, 2, 2), channels=2))
    images = torch.randn(2, 2, 14, 14, generator=torch.Generator().manual_seed(1))
    return flat, images, deep, images[:, :, None].repeat(1, 1, depth, 1, 1)


def rows_and_signals() -> tuple[nn.Module, Tensor, nn.Module, Tensor]:
    """A network of images of one row and some, and the same network of signals with the same signals."""
    row = settled(Stack(2, (1, 3), (1, 2), channels=2))
    line = with_weights_of(row, Stack(1, 3, channels=2))
    signals = torch.randn(2, 2, 29, generator=torch.Generator().manual_seed(2))
    return row, signals[:, :, None], line, signals


@functools.cache
def made(name: str) -> tuple[nn.Module, Tensor]:
    """A network by name, with inputs of awkward sizes."""
    rng = torch.Generator().manual_seed(3)
    torch.manual_seed(3)
    if name == "volume":  # prime and anisotropic sides, strides that change the proportions
        return settled(Stack(3, 3, (1, 2, 2), (2, 1, 1))), torch.randn(2, 2, 5, 11, 7, generator=rng)
    if name == "one slice":
        return settled(Stack(3, 3, (1, 2, 2))), torch.randn(2, 2, 1, 9, 8, generator=rng)
    if name == "signal":
        return settled(Stack(1, 5, 2, 2)), torch.randn(2, 2, 37, generator=rng)
    if name == "residual":
        return settled(Residual()), torch.randn(2, 1, 5, 9, 7, generator=rng)
    if name == "residual signal":
        return settled(Residual(1)), torch.randn(2, 1, 23, generator=rng)
    assert name == "r3d_18"
    network = torchvision.models.video.r3d_18(num_classes=4)
    return settled(network), torch.randn(1, 3, 4, 20, 16, generator=rng)


NAMES = ("volume", "one slice", "signal", "residual", "residual signal", "r3d_18")
