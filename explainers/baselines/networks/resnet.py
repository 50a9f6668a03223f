"""ResNets of any size for images of any size, with convolutions or lambda layers inside; each variant is a record."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from torch import Tensor, nn

from explainers.baselines.networks.lambda_layer import LambdaLayer
from explainers.baselines.networks.registry import register_network
from explainers.errors import OptionError

Mixing = Callable[[int, int, int], nn.Module]  # channels in, channels out, stride: what mixes neighbouring positions


def conv3x3(before: int, after: int, stride: int) -> nn.Module:
    """The convolution of a plain ResNet."""
    return nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)


def lambda_mixing(*, heads: int = 4, key: int = 16, intra: int = 1, scope: int = 23) -> Mixing:
    """A lambda layer in its place; with stride 2, average pooling 3 × 3 stands behind it."""

    def make(before: int, after: int, stride: int) -> nn.Module:
        layer = LambdaLayer(before, after, heads=heads, key=key, intra=intra, scope=scope)
        return layer if stride == 1 else nn.Sequential(layer, nn.AvgPool2d(3, stride, 1))

    return make


def shortcut(before: int, after: int, stride: int) -> nn.Module:
    """The identity, or a 1 × 1 convolution where channels or size change."""
    if before == after and stride == 1:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after))


class BasicBlock(nn.Module):
    """A 3 × 3 convolution and `mixing`, each with batch norm, and a skip connection.

    Source: He et al. 2016, figure 5 left.
    """

    expansion = 1

    def __init__(self, before: int, planes: int, stride: int, mixing: Mixing = conv3x3) -> None:
        super().__init__()
        self.conv1, self.bn1, self.relu1 = conv3x3(before, planes, stride), nn.BatchNorm2d(planes), nn.ReLU()
        self.conv2, self.bn2, self.relu2 = mixing(planes, planes, 1), nn.BatchNorm2d(planes), nn.ReLU()
        self.downsample = shortcut(before, planes, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) → (N, planes, H / stride, W / stride)."""
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(y + self.downsample(x))

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        """The batch norm in front of the sum."""
        return self.bn2


class Bottleneck(nn.Module):
    """1 × 1 down, `mixing`, 1 × 1 up to four times the planes, each with batch norm, and a skip connection.

    Source: He et al. 2016, figure 5 right, stride in the middle.
    """

    expansion = 4

    def __init__(self, before: int, planes: int, stride: int, mixing: Mixing = conv3x3) -> None:
        super().__init__()
        after = planes * self.expansion
        self.conv1, self.bn1 = nn.Conv2d(before, planes, 1, bias=False), nn.BatchNorm2d(planes)
        self.conv2, self.bn2 = mixing(planes, planes, stride), nn.BatchNorm2d(planes)
        self.conv3, self.bn3 = nn.Conv2d(planes, after, 1, bias=False), nn.BatchNorm2d(after)
        self.relu1, self.relu2, self.relu3 = nn.ReLU(), nn.ReLU(), nn.ReLU()
        self.downsample = shortcut(before, after, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) → (N, 4 · planes, H / stride, W / stride)."""
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(self.relu2(self.bn2(self.conv2(y)))))
        return self.relu3(y + self.downsample(x))

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        """The batch norm in front of the sum."""
        return self.bn3


BLOCKS: dict[str, type[BasicBlock] | type[Bottleneck]] = {"basic": BasicBlock, "bottleneck": Bottleneck}


@dataclass(frozen=True)
class Design:
    """A ResNet as numbers.

    block: "basic" or "bottleneck"; planes, blocks: width and depth of each stage; stem: width of the first
    convolution; kernel, stride, pool: its size and stride, and whether max-pooling follows; lambdas: lambda layers mix
    neighbouring positions instead of 3 × 3 convolutions (in a basic block, the second of the two); heads, key, intra,
    scope: of these.
    """

    block: str = "basic"
    planes: tuple[int, ...] = (64, 128, 256, 512)
    blocks: tuple[int, ...] = (2, 2, 2, 2)
    stem: int = 64
    kernel: int = 7
    stride: int = 2
    pool: bool = True
    lambdas: bool = False
    heads: int = 4
    key: int = 16
    intra: int = 1
    scope: int = 23

    def mixing(self) -> Mixing:
        """What stands in the blocks."""
        if not self.lambdas:
            return conv3x3
        return lambda_mixing(heads=self.heads, key=self.key, intra=self.intra, scope=self.scope)


CIFAR = Design(planes=(16, 32, 64), stem=16, kernel=3, stride=1, pool=False)
SMALL = Design(planes=(16, 32, 64, 128), blocks=(1, 1, 1, 1), stem=16, kernel=3, pool=False)
RESNET18 = Design(kernel=3, stride=1, pool=False)  # of images of 32 px


def _narrow(design: Design, width: int) -> Design:
    """A design whose first stage has so many channels, and the others in proportion."""
    planes = tuple(width * each // design.planes[0] for each in design.planes)
    return replace(design, planes=planes, stem=width)


RESNETS: dict[str, Design] = {
    "cifar-resnet20": replace(CIFAR, blocks=(3, 3, 3)),
    # From depth 44 on the code of attention branch networks stacks bottlenecks, (depth - 2) / 6 a stage; the paper of
    # ResNets has basic blocks at every depth.
    "cifar-resnet56": replace(CIFAR, block="bottleneck", blocks=(9, 9, 9)),
    "cifar-resnet110": replace(CIFAR, block="bottleneck", blocks=(18, 18, 18)),
    "cifar-basic-resnet56": replace(CIFAR, blocks=(9, 9, 9)),
    "cifar-basic-resnet110": replace(CIFAR, blocks=(18, 18, 18)),
    "cifar-resnet18": RESNET18,
    # The same with fewer channels: 16, 32, 64, 128 and so on.
    **{f"cifar-resnet18-{width}": _narrow(RESNET18, width) for width in (8, 16, 32)},
    "small-resnet": SMALL,
    "small-lambda-resnet": replace(SMALL, lambdas=True, scope=7),
    "lambda-resnet18": Design(lambdas=True),
    "lambda-resnet26": Design("bottleneck", lambdas=True),
    "lambda-resnet50": Design("bottleneck", blocks=(3, 4, 6, 3), lambdas=True),
}


class ResNet(nn.Module):
    """Stem, stages `layer1` …, pooling, linear layer. The last gain of every block starts at zero.

    Args:
        design: of which it is made; channels: of the images; classes: how many logits.

    Source: He et al. 2016; with lambda layers Bello 2021, appendix; the zero gain Goyal et al. 2017, section 5.1.
    """

    def __init__(self, design: Design, *, channels: int = 3, classes: int = 1000) -> None:
        super().__init__()
        if len(design.planes) != len(design.blocks) or not design.planes:
            raise OptionError(
                f"planes={design.planes} and blocks={design.blocks}; expected one of each for every stage"
            )
        self.stem = stem(channels, design.stem, design.kernel, design.stride, design.pool)
        block, before, mixing = BLOCKS[design.block], design.stem, design.mixing()
        for index, (planes, count) in enumerate(zip(design.planes, design.blocks, strict=True)):
            strides = [1 if index == 0 else 2] + [1] * (count - 1)
            made = []
            for stride in strides:
                made.append(block(before, planes, stride, mixing))
                before = planes * block.expansion
            self.add_module(f"layer{index + 1}", nn.Sequential(*made))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(before, classes)
        for module in self.modules():
            if isinstance(module, (BasicBlock, Bottleneck)):
                nn.init.zeros_(module.last_norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) → (N, classes) logits."""
        for name, module in self.named_children():
            if name == "fc":
                x = x.flatten(1)
            x = module(x)
        return x


def stem(channels: int, width: int, kernel: int, stride: int, pool: bool) -> nn.Sequential:
    """The first convolution with batch norm and ReLU, and max-pooling where asked for."""
    parts: list[tuple[str, nn.Module]] = [
        ("conv", nn.Conv2d(channels, width, kernel, stride=stride, padding=kernel // 2, bias=False)),
        ("bn", nn.BatchNorm2d(width)),
        ("relu", nn.ReLU()),
    ]
    if pool:
        parts.append(("pool", nn.MaxPool2d(3, 2, 1)))
    return nn.Sequential(OrderedDict(parts))


def resnet(name: str, *, channels: int = 3, classes: int = 1000, **changes: Any) -> ResNet:
    """A ResNet by its name, with some numbers of its `Design` changed.

    Raises:
        OptionError: no such name, or no such number.
    """
    if name not in RESNETS:
        raise OptionError(f"no ResNet {name!r}; there are {', '.join(RESNETS)}")
    known = asdict(RESNETS[name])
    unknown = sorted(set(changes) - set(known))
    if unknown:
        raise OptionError(f"{name} has no setting {', '.join(unknown)}; there are {', '.join(known)}")
    changes = {key: tuple(value) if isinstance(value, list) else value for key, value in changes.items()}
    return ResNet(replace(RESNETS[name], **changes), channels=channels, classes=classes)


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
