"""What the tests know of one network without asking the package: how to make it, and which answers it must get."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

LAYER = frozenset({"cam", "grad-cam", "grad-cam++", "xgrad-cam", "hires-cam", "layer-cam", "eigen-cam"})
RECTIFIED = frozenset({"guided-backprop", "guided-backprop-minus", "deconvolution", "guided-grad-cam"})
PLAIN = frozenset({"saliency", "input-x-gradient", "smooth-grad"})
CHANNELS = frozenset({"score-cam", "ablation-cam"})  # a pass per channel
PERTURBATION = frozenset({"rise", "occlusion", "lime", "kernel-shap"})  # work on black boxes
WATCHING = CHANNELS | PERTURBATION | {"group-cam"}  # look at f(x), not at the score
METHODS = LAYER | RECTIFIED | PLAIN | CHANNELS | PERTURBATION
OWN = frozenset(
    {"attention-rollout", "attention", "lambda-attention"}
)  # of networks with attention, at layers of their own
METHODS |= OWN | {"group-cam", "full-grad", "visual-backprop"}


def as_it_is(value: Any) -> Any:
    return value


def no_maps(network: nn.Module, image: Tensor) -> dict[str, Any]:
    return {}


def unchanged(network: nn.Module, images: Tensor) -> nn.Module:
    return network


@dataclass(frozen=True)
class Stage:
    """A stage of VisualBackProp: its layer, and the window of the strided layer between the stage before and it."""

    layer: str
    kernel: int
    stride: int
    padding: int


def softmaxed(scores: Tensor) -> Tensor:
    return scores.softmax(dim=1)


@dataclass(frozen=True)
class Case:
    """A network of the zoo.

    factory: the plain network, any weights; wrap: from it and example images to what a user passes; around: what the
    user runs under; scores: from what the plain network returns to (N, classes).
    layer: dotted name of the last spatial layer ("name#2": third run), None where none can be captured; spatial: from
    its output to (N, C, u, v); given: the layer must be named by the user.
    rectifiers: "strict" (ReLUs in some spelling and nothing else), "smooth", "mixed" or "none".
    watched: from scores to the f(x) that perturbations are watched by.
    linear: dotted name of the linear layer behind global average pooling, "" where the channels are the classes, None
    where the head is another; cap: a ReLU stands between `layer` and the pooling, and ends at this value.
    chain: every layer up to `layer` has one input, the layer before; walk: else the stages of VisualBackProp in order; attention: (network, images) to the (N, heads, T, T)
    of each block; prefix and grid: the tokens of the class and such, and the patches; copies: of an image that plain
    autograd needs (see answer_rules.gradient); own: (network, image (1, C, H, W)) to the maps (h, w) that the
    network makes by itself, by method.
    refused: methods that must refuse, whatever the above says; either: methods for which a refusal is as good as the
    right map.
    """

    name: str
    group: str
    factory: Callable[[], nn.Module]
    shape: tuple[int, int, int] = (3, 32, 32)
    wrap: Callable[[nn.Module, Tensor], Any] = unchanged
    around: Callable[[], AbstractContextManager[Any]] = nullcontext
    scores: Callable[[Any], Tensor] = as_it_is
    watched: Callable[[Tensor], Tensor] = softmaxed
    layer: str | None = None
    spatial: Callable[[Tensor], Tensor] = as_it_is
    given: bool = False
    rectifiers: str = "strict"
    linear: str | None = None
    cap: float | None = None
    chain: bool = False
    walk: tuple[Stage, ...] = ()
    attention: Callable[[nn.Module, Tensor], list[Tensor]] | None = None
    copies: int = 1
    own: Callable[[nn.Module, Tensor], dict[str, Any]] = no_maps
    prefix: int = 1
    grid: tuple[int, int] | None = None
    refused: frozenset[str] = frozenset()
    either: frozenset[str] = frozenset()

    @property
    def seed(self) -> int:
        return zlib.crc32(self.name.encode()) % 2**31

    def images(self, count: int = 2, dtype: torch.dtype = torch.float64) -> Tensor:
        """(count, C, H, W): smooth noise with some fine noise on it, always the same."""
        generator = torch.Generator().manual_seed(self.seed)
        coarse = torch.randn(count, self.shape[0], 5, 5, generator=generator, dtype=torch.float64)
        fine = torch.randn(count, *self.shape, generator=generator, dtype=torch.float64)
        smooth = nn.functional.interpolate(coarse, size=self.shape[1:], mode="bicubic", align_corners=False)
        return (smooth + 0.5 * fine).to(dtype)

    def plain(self, dtype: torch.dtype = torch.float64) -> nn.Module:
        """The network as the oracles use it: alive, in evaluation mode, always the same weights."""
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            network = alive(self.factory(), self.images(4, torch.float32))
        return network.to(dtype).eval()

    def given_network(self, plain: nn.Module) -> Any:
        """What the user passes: a copy of the plain network, wrapped."""
        parameter = next(plain.parameters(), None)
        dtype = torch.float32 if parameter is None else parameter.dtype
        return self.wrap(copy.deepcopy(plain), self.images(2, dtype))


def alive(network: nn.Module, images: Tensor) -> nn.Module:
    """Draw weights with which every layer is at work: He's scale, biases, gains and statistics away from identity.

    Batch norm gets the statistics of a batch, then disturbed, so that activations neither die nor explode with depth.
    """
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if not isinstance(parameter, nn.UninitializedParameter):
                _draw(module, name, parameter.data)
    norms = [
        module for module in network.modules() if isinstance(module, nn.BatchNorm2d) and module.track_running_stats
    ]
    if norms:
        _calibrate(network, norms, images)
    return network


def _draw(module: nn.Module, name: str, value: Tensor) -> None:
    if isinstance(module, (nn.modules.conv._ConvNd, nn.Linear)) and value.ndim > 1:
        fan_in = value[0].numel()
        nn.init.normal_(value, std=(2 / fan_in) ** 0.5)
    elif "norm" in type(module).__name__.lower() and value.ndim == 1:
        _ = nn.init.normal_(value, std=0.3) if name == "bias" else nn.init.uniform_(value, 0.5, 1.5)
    elif name.endswith("bias"):
        nn.init.normal_(value, std=0.3)
    elif value.ndim == 2:  # projections that are no modules of their own, tables of relative positions
        nn.init.normal_(value, std=value.shape[1] ** -0.5)
    elif (value.ndim > 2 and min(value.shape[-2:]) > 1) or value.ndim == 3:  # class tokens, positions
        nn.init.normal_(value, std=0.5)
    else:  # gains of layers and blocks, which many libraries start at zero
        nn.init.uniform_(value, 0.3, 1.0)


def _calibrate(network: nn.Module, norms: list[nn.BatchNorm2d], images: Tensor) -> None:
    momenta = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    with torch.no_grad():
        network(images.clone())
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        assert norm.running_mean is not None
        assert norm.running_var is not None
        spread = norm.running_var.mean().clamp(min=1e-3)
        norm.running_mean += 0.3 * spread.sqrt() * torch.randn_like(norm.running_mean)
        norm.running_var *= torch.empty_like(norm.running_var).uniform_(0.6, 1.6)
        norm.running_var += 0.1 * spread
    network.eval()
