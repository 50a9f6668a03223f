"""Small networks that the tests share; weights from torch's seed, batch-norm statistics away from identity."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Chain(nn.Module):
    """Convolution, ReLU, pooling, convolution, ReLU, global average pooling, linear: CAM's head."""

    def __init__(self, channels: int = 3, classes: int = 5) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, 6, 3, padding=1)
        self.act = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.second = nn.Conv2d(6, 8, 3, padding=1)
        self.last = nn.ReLU()
        self.head = nn.Linear(8, classes)

    def features(self, x: Tensor) -> Tensor:
        return self.last(self.second(self.pool(self.act(self.first(x)))))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).mean((2, 3)))


class Functional(Chain):
    """The same with functional ReLUs in two spellings."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(F.relu(self.first(x)))
        return self.head(self.second(x).clamp(min=0).mean((2, 3)))


class Residual(nn.Module):
    """Two stages with batch norm, in-place ReLUs and a skip connection."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(inplace=True))
        self.block = Block(6, 10)
        self.head = nn.Linear(10, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block(self.stem(x)).mean((2, 3)))


class Block(nn.Module):
    """A strided residual block."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(after)
        self.short = nn.Conv2d(before, after, 1, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(self.relu(self.norm1(self.conv1(x)))))
        y += self.short(x)
        return self.relu(y)


class PreActivation(nn.Module):
    """A tensor that feeds a ReLU and a skip connection."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.conv = nn.Conv2d(6, 6, 3, padding=1)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.conv(torch.relu(x))
        return self.head(torch.relu(x).mean((2, 3)))


class Tokens(nn.Module):
    """A vision transformer of two blocks with a class token, attention written out."""

    def __init__(self, pooled: bool = False) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.blocks = nn.ModuleList([Attention(8), Attention(8)])
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 5)
        self.pooled = pooled

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return self.head(x[:, 1:].mean(1) if self.pooled else x[:, 0])


class Attention(nn.Module):
    """One block: two heads of attention, then an MLP with GELU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def weights(self, x: Tensor) -> tuple[Tensor, Tensor]:
        q, k, v = self.qkv(self.norm(x)).unflatten(2, (3, 2, -1)).permute(2, 0, 3, 1, 4)
        return (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(dim=-1), v

    def forward(self, x: Tensor) -> Tensor:
        weights, v = self.weights(x)
        x = x + (weights @ v).transpose(1, 2).flatten(2)
        return x + self.mlp(x)


def lively(network: nn.Module) -> nn.Module:
    """Random batch-norm statistics and gains, so that no layer is the identity; evaluation mode."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
    return network.eval()
