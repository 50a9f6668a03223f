"""Random small networks of odd proportions, with the Grad-CAM of each of their layers and their Guided Backprop.

Every step says by construction how its output is laid out, so that the answer needs neither shapes nor the package. The
rule of Guided Backprop is applied where a call computes a ReLU, by functions of autograd that are written for it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from oracles import EveryRelu
from random_rectifiers import RECTIFIERS, SMOOTH, only_relus, plainly
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import explainers
from explainers.errors import UnsupportedError

CLASSES = 3


class Draw(random.Random):
    """What a network is drawn from; smooth: activations may be other ones than ReLUs."""

    def __init__(self, seed: int, *, smooth: bool) -> None:
        super().__init__(seed)
        self.rectifiers = (*RECTIFIERS, *SMOOTH) if smooth else RECTIFIERS


@dataclass(frozen=True)
class Lying:
    """How a step's output lies: "nchw", "ncwh" (turned), "nhwc", "tokens" with `prefix` others in front."""

    kind: str
    grid: tuple[int, int]
    prefix: int = 0

    def upright(self, value: Tensor) -> Tensor:
        """(N, C, h, w)."""
        if self.kind == "tokens":
            return value[:, self.prefix :].transpose(1, 2).reshape(len(value), -1, *self.grid)
        return {"nchw": value, "ncwh": value.transpose(2, 3), "nhwc": value.movedim(3, 1)}[self.kind]


class Step(nn.Module):
    """A function with modules inside."""

    def __init__(self, function: Callable[..., Tensor], *parts: Any, **weights: Tensor) -> None:
        super().__init__()
        self.function, self.functions = function, [part for part in parts if not isinstance(part, nn.Module)]
        self.parts = nn.ModuleList(part for part in parts if isinstance(part, nn.Module))
        self.order = [isinstance(part, nn.Module) for part in parts]
        for name, value in weights.items():
            self.register_parameter(name, nn.Parameter(value))

    def forward(self, x: Tensor) -> Tensor:
        modules, functions = iter(self.parts), iter(self.functions)
        parts = [next(modules) if is_module else next(functions) for is_module in self.order]
        return self.function(x, *parts, *(value for _, value in self.named_parameters(recurse=False)))


class RandomNetwork(nn.Module):
    """Steps, a head, and sometimes a branch that the image does not feed or that the scores do not read.

    extra: "", "prior" (a learned map beside the features), "side" (an output that nobody reads), "twin before" and
    "twin behind" (a stored image through the same steps).
    """

    def __init__(self, steps: list[nn.Module], lying: list[Lying], extra: str, head: str, sample: Tensor) -> None:
        super().__init__()
        self.steps, self.lying, self.extra, self.pooling = nn.ModuleList(steps), lying, extra, head
        self.register_buffer("stored", torch.randn_like(sample[:1]))
        features = self.features(sample)[-1]
        self.head = nn.Linear(self.pooled(features).shape[1] + 2, CLASSES)
        self.prior = nn.Parameter(torch.randn(1, 2, 6, 5))
        self.around = nn.Conv2d(2, 2, 3, padding=1)
        channels = self.lying[-1].upright(features).shape[1]
        self.side = nn.Conv2d(channels, 3, 1)
        self.keep: list[Tensor] | None = None

    def features(self, x: Tensor) -> list[Tensor]:
        found = []
        for step in self.steps:
            x = step(x)
            found.append(x)
        return found

    def pooled(self, value: Tensor) -> Tensor:
        value = self.lying[-1].upright(value)
        return {"mean": lambda: value.mean((2, 3)), "max": lambda: value.amax((2, 3)), "flat": lambda: value.flatten(1),
                "square": lambda: (value**2).mean((2, 3))}[self.pooling]()  # fmt: skip

    def forward(self, x: Tensor) -> Any:
        beside = x.new_zeros(len(x), 2)
        if self.extra == "twin before":
            beside = self.pooled(self.features(self.stored)[-1]).sum().expand(len(x), 2)
        found = self.features(x)
        if self.keep is not None:
            self.keep[:] = found
        pooled = self.pooled(found[-1])
        if self.extra == "prior":
            beside = self.around(self.prior).mean((2, 3)).expand(len(x), 2)
        if self.extra == "twin behind":
            with torch.no_grad():
                beside = self.pooled(self.features(self.stored)[-1]).sum().expand(len(x), 2)
        scores = self.head(torch.cat([pooled * (1 + 0.1 * beside.mean()), beside], dim=1))
        return (scores, self.side(self.lying[-1].upright(found[-1]))) if self.extra == "side" else scores

    def label(self, index: int) -> str:
        run = {"twin before": "#1", "twin behind": "#0"}.get(self.extra, "")
        return f"steps.{index}{run}"

    @property
    def last(self) -> int:
        """The last step that is no pooling."""
        return max(index for index, step in enumerate(self.steps) if not isinstance(step, POOLINGS))

    def grad_cam(self, images: Tensor, index: int, classes: Tensor) -> Tensor:
        """(N, H, W) of a step's output, the channels weighted by their mean gradient, by plain autograd."""
        self.keep = []
        returned = self(images.clone().requires_grad_())
        kept, self.keep = self.keep[index], None
        scores = returned[0] if isinstance(returned, tuple) else returned
        (gradient,) = torch.autograd.grad(scores.gather(1, classes[:, None]).sum(), kept)
        activation, gradient = (self.lying[index].upright(value.detach()) for value in (kept, gradient))
        low = (gradient.mean((2, 3), keepdim=True) * activation).sum(1, keepdim=True).clamp(min=0)
        return F.interpolate(low, size=images.shape[-2:], mode="bilinear", align_corners=False)[:, 0]

    def guided(self, images: Tensor, classes: Tensor) -> Tensor:
        """(N, C, H, W) Guided Backprop: every ReLU, however it is spelled, a function with the rule as its backward."""
        leaf = images.clone().requires_grad_()
        plainly(self, True)
        with EveryRelu("guided"):  # also around the backward pass, in which checkpointed steps run again
            returned = self(leaf.clone())
            scores = returned[0] if isinstance(returned, tuple) else returned
            gradient = torch.autograd.grad(scores.gather(1, classes[:, None]).sum(), leaf)[0]
        plainly(self, False)
        return gradient


POOLINGS = (nn.MaxPool2d, nn.AvgPool2d)


def random_network(seed: int, *, smooth: bool = True) -> tuple[RandomNetwork, Tensor]:
    """A network in double precision and evaluation mode, and two images of it; always the same for a seed.

    Args:
        smooth: activations may be other ones than ReLUs.
    """
    rng = Draw(seed, smooth=smooth)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        shape = (rng.choice([1, 2, 3]), rng.randint(9, 40), rng.randint(9, 40))
        images = torch.randn(2, *shape, dtype=torch.float64)
        steps: list[nn.Module] = []
        lying = [Lying("nchw", (shape[1], shape[2]))]
        value = images
        while len(steps) < rng.randint(2, 6) or all(isinstance(step, POOLINGS) for step in steps):
            made = _step(rng, value, lying[-1])
            if made is None:
                continue
            step, lies = made
            step = step.double().eval()
            with torch.no_grad():
                value = step(value.clone())
            steps.append(step)
            lying.append(lies)
        extra = rng.choice(["", "", "prior", "side", "twin before", "twin behind"])
        head = rng.choice(["mean", "max", "flat", "square"])
        network = RandomNetwork(steps, lying[1:], extra, head, images).double().eval()
    return network, images


def _step(rng: Draw, value: Tensor, lies: Lying) -> tuple[nn.Module, Lying] | None:
    """One more step behind `value`, or None where the one that was drawn does not fit."""
    if lies.kind in ("nchw", "ncwh"):
        kinds = [_convolution] * 5 + [
            _pooling,
            _residual,
            _repeated,
            _gated,
            _enlarged,
            _turned,
            _channels_last,
            _tokens,
        ]
    elif lies.kind == "nhwc":
        kinds = [_linear, _linear, _from_channels_last]
    else:
        kinds = [_linear, _attention, _from_tokens]
    return rng.choice(kinds)(rng, value, lies)


def _sized(lies: Lying, value: Tensor) -> Lying | None:
    """The same lying of a value of another size; None where too little is left, or it grows beyond reason."""
    rows, columns = value.shape[2:] if lies.kind == "nchw" else value.shape[2:][::-1]
    return Lying(lies.kind, (rows, columns)) if min(rows, columns) >= 2 and max(rows, columns) <= 90 else None


def _tried(step: nn.Module, value: Tensor, lies: Lying) -> tuple[nn.Module, Lying] | None:
    try:
        with torch.no_grad():
            sized = _sized(lies, step.double().eval()(value.clone()))
    except (RuntimeError, ValueError):  # a window larger than the map, or a norm of one pixel
        return None
    return None if sized is None else (step, sized)


def _width(rng: Draw, lies: Lying) -> int:
    """Channels, often as many as there are rows or columns, which is what misleads."""
    return rng.choice([2, 4, 6, 8, *(side for side in lies.grid if side <= 24)])


def _convolution(rng: Draw, value: Tensor, lies: Lying) -> Any:
    kernel = (rng.randint(1, 4), rng.randint(1, 4))
    options = {"stride": (rng.choice([1, 1, 2, 3]), rng.choice([1, 1, 2, 3])),
               "padding": (rng.randint(0, 3), rng.randint(0, 3)), "dilation": rng.choice([1, 1, 2])}  # fmt: skip
    width, before = _width(rng, lies), value.shape[1]
    transposed = rng.random() < 0.1
    convolution: nn.Module = nn.Conv2d(before, width, kernel, **options, bias=rng.random() < 0.7)
    if transposed:
        convolution = nn.ConvTranspose2d(before, width, kernel, stride=options["stride"])
    norms: list[Any] = [nn.BatchNorm2d(width), nn.GroupNorm(1, width), nn.InstanceNorm2d(width, affine=True)]
    parts = [convolution, rng.choice(rng.rectifiers)()]
    if rng.random() < 0.5:
        parts.insert(rng.choice([1, 2]), rng.choice(norms))
    if rng.random() < 0.2:
        inner = Step(_one_by_one, *parts)
        return _tried(Step(_recomputed, inner), value, lies)
    plain = all(isinstance(part, nn.Module) for part in parts) and rng.random() < 0.5
    return _tried(nn.Sequential(*parts) if plain else Step(_one_by_one, *parts), value, lies)


def _pooling(rng: Draw, value: Tensor, lies: Lying) -> Any:
    kernel = (rng.randint(1, 3), rng.randint(1, 3))
    kind = rng.choice([nn.MaxPool2d, nn.AvgPool2d])
    return _tried(
        kind(kernel, stride=(rng.randint(1, 2), rng.randint(1, 2)), ceil_mode=rng.random() < 0.5), value, lies
    )


def _residual(rng: Draw, value: Tensor, lies: Lying) -> Any:
    width = value.shape[1]
    parts = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), rng.choice(rng.rectifiers)()
    return _tried(Step(rng.choice([_added, _added_in_place, _beside]), *parts), value, lies)


def _repeated(rng: Draw, value: Tensor, lies: Lying) -> Any:
    width = value.shape[1]
    inner = Step(_one_by_one, nn.Conv2d(width, width, 3, padding=1), rng.choice(rng.rectifiers)())
    return _tried(Step(lambda x, part: part(part(x)), inner), value, lies)


def _gated(rng: Draw, value: Tensor, lies: Lying) -> Any:
    width = value.shape[1]
    gates = Step(_squeezed, nn.Linear(width, width)), Step(_attending, nn.Conv2d(width, 1, 3, padding=1))
    return _tried(rng.choice(gates), value, lies)


def _enlarged(rng: Draw, value: Tensor, lies: Lying) -> Any:
    size = [side * rng.choice([1, 2]) for side in value.shape[2:]]
    mode = rng.choice(["nearest", "bilinear"])
    return _tried(Step(lambda x: F.interpolate(x, size=size, mode=mode)), value, lies)


def _turned(rng: Draw, value: Tensor, lies: Lying) -> Any:
    kind = "ncwh" if lies.kind == "nchw" else "nchw"
    return Step(lambda x: x.transpose(2, 3) * 1), Lying(kind, lies.grid)


def _channels_last(rng: Draw, value: Tensor, lies: Lying) -> Any:
    if lies.kind != "nchw":
        return None
    return Step(lambda x, norm: norm(x.permute(0, 2, 3, 1)), nn.LayerNorm(value.shape[1])), Lying("nhwc", lies.grid)


def _from_channels_last(rng: Draw, value: Tensor, lies: Lying) -> Any:
    return Step(lambda x: x.permute(0, 3, 1, 2) + 0.5), Lying("nchw", lies.grid)


def _tokens(rng: Draw, value: Tensor, lies: Lying) -> Any:
    if lies.kind != "nchw" or lies.grid[0] * lies.grid[1] > 150:
        return None
    prefix, width = rng.choice([0, 1, 3]), value.shape[1]
    if prefix:
        return Step(_with_prefix, extra=torch.randn(1, prefix, width)), Lying("tokens", lies.grid, prefix)
    return Step(lambda x: x.flatten(2).transpose(1, 2) * 1.5), Lying("tokens", lies.grid)


def _from_tokens(rng: Draw, value: Tensor, lies: Lying) -> Any:
    start, grid = lies.prefix, lies.grid
    return Step(lambda x: x[:, start:].mT.unflatten(2, grid) * 2), Lying("nchw", grid)


def _linear(rng: Draw, value: Tensor, lies: Lying) -> Any:
    width = value.shape[-1]
    parts = nn.LayerNorm(width), nn.Linear(width, width), rng.choice(rng.rectifiers)(), nn.Linear(width, width)
    return Step(rng.choice([_one_by_one, _added]), *parts), lies


def _attention(rng: Draw, value: Tensor, lies: Lying) -> Any:
    width = value.shape[-1]
    attention = nn.MultiheadAttention(width, rng.choice([n for n in (1, 2, 3) if width % n == 0]), batch_first=True)
    return Step(lambda x, norm, mix: x + mix(*[norm(x)] * 3)[0], nn.LayerNorm(width), attention), lies


def _one_by_one(x: Tensor, *parts: Callable[[Tensor], Tensor]) -> Tensor:
    for part in parts:
        x = part(x)
    return x


def _recomputed(x: Tensor, part: nn.Module) -> Any:
    return checkpoint(part, x, use_reentrant=False)


def recomputes(network: nn.Module) -> bool:
    """Whether a step is checkpointed."""
    return any(isinstance(module, Step) and module.function is _recomputed for module in network.modules())


def _added(x: Tensor, *parts: Any) -> Tensor:
    return x + _one_by_one(x, *parts)


def _added_in_place(x: Tensor, *parts: Any) -> Tensor:
    y = _one_by_one(x, *parts).clone()
    y += x
    return y


def _beside(x: Tensor, *parts: Any) -> Tensor:
    return torch.cat([x, _one_by_one(x, *parts)], dim=1)


def _squeezed(x: Tensor, linear: nn.Module) -> Tensor:
    return x * torch.sigmoid(linear(x.mean((2, 3))))[:, :, None, None]


def _attending(x: Tensor, convolution: nn.Module) -> Tensor:
    return x * torch.sigmoid(convolution(x))


def _with_prefix(x: Tensor, extra: Tensor) -> Tensor:
    tokens = torch.cat([extra.expand(len(x), -1, -1), x.flatten(2).mT], dim=1)
    return tokens + tokens.mean(1, keepdim=True)


def guided_faults(seed: int) -> tuple[list[str], str]:
    """What Guided Backprop gets wrong on the network of that seed, and why it was refused, or "".

    Every other network has ReLUs alone; on one with another unit there is no right map.
    """
    network, images = random_network(seed, smooth=seed % 2 == 1)
    classes = torch.tensor([0, 2])
    try:
        maps = explainers.create("guided-backprop", network, channels=None)(images, classes)
    except UnsupportedError as error:
        return [], str(error)
    except Exception as error:  # whatever it is, it is a fault
        return [f"guided-backprop: {type(error).__name__}: {error}"], ""
    if not only_relus(network):
        return ["guided-backprop: a map, where not every unit is a ReLU"], ""
    answer = network.guided(images, classes)
    far = float((maps - answer).abs().max()) > 1e-5 * max(float(answer.abs().max()), 1e-9)
    return (["guided-backprop: another map"] if far else []), ""


def faults(seed: int, *, every: bool) -> list[str]:
    """What Grad-CAM gets wrong on the network of that seed: with no layer named, and with each (or one) by name."""
    network, images = random_network(seed)
    classes, count = torch.tensor([0, 2]), len(network.steps)
    found = []
    for index in (None, *(range(count) if every else [seed % count])):
        label = None if index is None else network.label(index)
        wanted = network.last if index is None else index
        explainer = explainers.GradCAM(network, layer=label)
        try:
            maps = explainer(images, classes)
        except Exception as error:  # whatever it is, it is a fault
            found.append(f"layer={label}: {type(error).__name__}: {error}")
            continue
        answer = network.grad_cam(images, wanted, classes)
        if explainer.layers != (network.label(wanted),):
            found.append(f"layer={label}: reads {explainer.layers[0]} instead of {network.label(wanted)}")
        elif float((maps - answer).abs().max()) > 1e-5 * max(float(answer.abs().max()), 1e-9):
            found.append(f"layer={label}: another map")
    return found
