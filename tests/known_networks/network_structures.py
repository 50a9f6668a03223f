"""Trap networks that differ in structure: skips, reuse, layouts, outputs, heads, and what stops a gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from network_families import heads_of, inputs_of, softmax_of
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class Modular(nn.Module):
    """Three convolutions with a ReLU module behind each."""

    def __init__(self, channels: int = 3, classes: int = 5, *, inplace: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 6, 3, padding=1)
        self.relu1 = nn.ReLU(inplace)
        self.pool = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(6, 8, 3, stride=2, padding=1)
        self.relu2 = nn.ReLU(inplace)
        self.conv3 = nn.Conv2d(8, 10, 3, padding=1)
        self.relu3 = nn.ReLU(inplace)
        self.head = nn.Linear(10, classes)

    def features(self, x: Tensor) -> Tensor:
        x = self.pool(self.relu1(self.conv1(x)))
        return self.relu3(self.conv3(self.relu2(self.conv2(x))))

    def forward(self, x: Tensor) -> Any:
        return self.head(self.features(x).mean((2, 3)))


class Residual(nn.Module):
    """Batch norm, in-place ReLUs, in-place addition, dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True))
        self.block = ResidualBlock(6, 10)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(10, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.drop(self.block(self.stem(x)).mean((2, 3))))


class ResidualBlock(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.relu = nn.ReLU(inplace=True)
        self.drop = nn.Dropout2d(0.3)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(after)
        self.short = nn.Conv2d(before, after, 1, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(self.drop(self.relu(self.norm1(self.conv1(x))))))
        y += self.short(x)
        return self.relu(y)


class PreActivation(nn.Module):
    """Every tensor between blocks feeds a ReLU and a skip connection."""

    def __init__(self, *, functional: bool, inplace_add: bool = False) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.blocks = nn.Sequential(*(PreBlock(6, functional=functional, inplace_add=inplace_add) for _ in range(3)))
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.blocks(self.stem(x))).mean((2, 3)))


class PreBlock(nn.Module):
    def __init__(self, width: int, *, functional: bool, inplace_add: bool) -> None:
        super().__init__()
        self.relu1: Any = torch.relu if functional else nn.ReLU()
        self.relu2: Any = torch.relu if functional else nn.ReLU()
        self.conv1, self.conv2 = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.inplace_add = inplace_add

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.relu2(self.conv1(self.relu1(x))))
        if self.inplace_add:
            y += x
            return y
        return x + y


class ChannelsLast(nn.Module):
    """Blocks that work on (N, h, w, C), as Swin's do."""

    def __init__(self, unit: type[nn.Module] = nn.ReLU, width: int = 12) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, width, 4, stride=4)
        self.blocks = nn.Sequential(
            *(nn.Sequential(nn.Linear(width, 16), unit(), nn.Linear(16, width)) for _ in range(2))
        )
        self.head = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.patch(x).permute(0, 2, 3, 1)).mean((1, 2)))


class Tokens(nn.Module):
    """A vision transformer with ReLU or GELU, class and register tokens or none, attention written out or torch's."""

    def __init__(self, prefix: int = 1, unit: type[nn.Module] = nn.GELU, *, encoder: bool = False) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 4, stride=4)
        self.prefix = nn.Parameter(torch.randn(1, prefix, 8)) if prefix else None
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(8, 2, 16, activation="relu", batch_first=True) if encoder else Block(unit)
            for _ in range(3)
        )
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        if self.prefix is not None:
            x = torch.cat([self.prefix.expand(len(x), -1, -1), x], dim=1)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return self.head(x.mean(1) if self.prefix is None else x[:, 0])


class Attend(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(8, 8) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (heads_of(part(x), 2) for part in (self.query, self.key, self.value))
        return ((q @ k.mT / 2).softmax(-1) @ v).transpose(1, 2).flatten(2)


class Block(nn.Module):
    def __init__(self, unit: type[nn.Module]) -> None:
        super().__init__()
        self.norm, self.attend = nn.LayerNorm(8), Attend()
        self.mlp = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 16), unit(), nn.Linear(16, 8))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attend(self.norm(x))
        return x + self.mlp(x)


def written_attention(network: nn.Module, images: Tensor) -> list[Tensor]:
    found = []
    for module, x in inputs_of(network, "Attend", images):
        q, k = (x @ part.weight.T + part.bias for part in (module.query, module.key))
        found.append(softmax_of(heads_of(q, 2), heads_of(k, 2)).detach())
    return found


class Around(nn.Module):
    """A network inside another, with something done to the image before or to the scores behind."""

    def __init__(self, before: Any = None, behind: Any = None) -> None:
        super().__init__()
        self.inner = Modular()
        self.before, self.behind = before, behind

    def forward(self, x: Tensor) -> Any:
        x = x if self.before is None else self.before(x)
        y = self.inner(x)
        return y if self.behind is None else self.behind(y)


@dataclass
class Result:
    """What many repositories return."""

    logits: Tensor
    features: Tensor


class Flat(Modular):
    """No pooling: every position has weights of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(10 * 8 * 8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).flatten(1))


class SideBranch(Modular):
    """The spatial layer that runs last has no part in the scores; a module never runs; calls are counted."""

    def __init__(self) -> None:
        super().__init__()
        self.side = nn.Conv2d(10, 3, 1)
        self.never = nn.Conv2d(3, 3, 1)
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    def forward(self, x: Tensor) -> Any:
        self.calls += 1  # type: ignore[operator,assignment]
        features = self.features(x)
        scores = self.head(features.mean((2, 3)))
        return scores, self.side(features)


class Reused(Modular):
    """One ReLU module at three places."""

    def __init__(self) -> None:
        super().__init__()
        self.act = self.relu1 = self.relu2 = self.relu3 = nn.ReLU()


class Normed(Flat):
    """A norm of another kind behind the last convolution, and no pooling."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.relu3 = norm  # type: ignore[assignment]


class Dead(Modular):
    """Its last layer is zero everywhere."""

    def features(self, x: Tensor) -> Tensor:
        return self.relu3(super().features(x) - 1e3)


class TwoLayerHead(Modular):
    """Global maximum pooling and a head of two layers with a ReLU between."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Linear(10, 8), nn.ReLU(), nn.Linear(8, 5))  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).amax((2, 3)))


class Gradless(Modular):
    """Features computed without gradients inside forward, or cut off by detach."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "detach":
            return self.head(self.features(x).detach().mean((2, 3)))
        if self.how == "first layers":
            with torch.no_grad():
                x = self.pool(self.relu1(self.conv1(x)))
            return self.head(self.relu3(self.conv3(self.relu2(self.conv2(x)))).mean((2, 3)))
        with torch.no_grad():
            x = self.features(x)
        return self.head(x.mean((2, 3)))


class Checkpointed(Modular):
    """Activations recomputed in the backward pass."""

    reentrant: bool | None = None  # None: the plain network

    def forward(self, x: Tensor) -> Tensor:
        if self.reentrant is None:
            return super().forward(x)
        x = checkpoint(self.features, x, use_reentrant=self.reentrant)
        return self.head(x.mean((2, 3)))


class Looping(Modular):
    """Goes through the images of a batch one by one."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([super(Looping, self).forward(image[None]) for image in x])


class TupleLayer(Modular):
    """Its last spatial layer returns a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.last = Twofold()

    def forward(self, x: Tensor) -> Tensor:
        features, _ = self.last(self.features(x))
        return self.head(features.mean((2, 3)))


class Twofold(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x * 2, x.mean()


def split_norm() -> nn.Module:
    """A convolution whose weight is made anew in every forward pass."""
    network = Modular()
    for convolution in (network.conv2, network.conv3):
        nn.utils.parametrizations.weight_norm(convolution)
    return network
