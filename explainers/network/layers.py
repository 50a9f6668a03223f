"""A layer: one run of a module whose output has positions in the image, and the tensor in what it returned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from explainers.network.layout import Layout

PADDED = ("ConstantPadNd", "ReflectionPad", "ReplicationPad")  # what made a tensor, in the graph's words
KINDS = (
    *("Conv", "ConvTranspose", "BatchNorm", "InstanceNorm", "MaxPool", "AvgPool", "LPPool"),
    *("AdaptiveAvgPool", "AdaptiveMaxPool", "FractionalMaxPool"),
)
DEFINED: dict[int, tuple[type[nn.Module], ...]] = {  # by an input's axes: what gives (N, C, *axes) by definition
    count: tuple(getattr(nn, f"{kind}{count}d") for kind in KINDS if hasattr(nn, f"{kind}{count}d"))
    for count in (1, 2, 3)
}
DEFINED[2] += (nn.PixelShuffle, nn.UpsamplingBilinear2d, nn.UpsamplingNearest2d)


def made_of(network: Any) -> int:
    """A number that changes where a module of the network is another one."""
    return hash(tuple(map(id, network.modules()))) if isinstance(network, nn.Module) else 0


@dataclass(frozen=True)
class Layer:
    """One run of one module whose output has positions in the image.

    name: dotted name; call: which of its runs in a forward pass, counted from 0; calls: how many there are;
    pooled: the output of a pooling or a padding, which finds nothing new; inside: how many of the modules around it put
    out another resolution;
    rearranged: a grid of other proportions that a module around it turns back, as the windows of an attention;
    strip: a sequence of columns or rows alone, of an image that has both; fed: whether the image has a part in it;
    reaches: whether the scores depend on its positions (None: no gradient arrives there, so nobody knows);
    passed: whether the image has a way to the scores that leads past it: one of several branches;
    operation: of what is no module but an operation that joins branches, its number in a forward pass of `module`, the
    whole network.
    """

    name: str
    module: nn.Module
    layout: Layout
    call: int = 0
    calls: int = 1
    pooled: bool = False
    inside: int = 0
    rearranged: bool = False
    strip: bool = False
    fed: bool = True
    reaches: bool | None = True
    passed: bool = False
    operation: int | None = None

    @property
    def label(self) -> str:
        """The name that selects this layer: dotted, with `#call` where the module runs several times."""
        return self.name if self.calls == 1 else f"{self.name}#{self.call}"

    @property
    def depth(self) -> int:
        """Nesting below the network."""
        return self.name.count(".")


def layer_tensor(returned: Any) -> Tensor | None:
    """The tensor in what a module returned: itself, or the first entry of a tuple or list."""
    if isinstance(returned, (tuple, list)) and type(returned) in (tuple, list) and returned:
        returned = returned[0]
    return returned if isinstance(returned, Tensor) else None


def with_tensor(returned: Any, tensor: Tensor) -> Any:
    """What the module returned, with its tensor exchanged."""
    if isinstance(returned, (tuple, list)):
        return type(returned)([tensor, *returned[1:]])
    return tensor


def is_pooled(module: nn.Module, tensor: Tensor) -> bool:
    """Whether a module pools or pads, by its name or by what made its output: values of the layer before it."""
    if any(True for _ in module.children()):
        return False
    name, made = type(module).__name__.lower(), type(tensor.grad_fn).__name__
    own = any(True for _ in module.parameters(recurse=False))
    return "pool" in name or (not own and ("pad" in name or made.startswith(PADDED)))
