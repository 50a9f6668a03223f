"""Cutting a classifier into what both branches share, its last stage, and its head."""

from __future__ import annotations

from collections import OrderedDict
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from explainers.errors import UnsupportedError

POOLS = ("pool", "flatten", "dropout", "identity", "linear")  # of a head's layers, in their classes' names
PROBE = 64  # pixels of the noise that shows how a network runs


@dataclass(frozen=True)
class Cut:
    """The three parts of a classifier; running them one after the other is running it.

    features: images to (N, C, h, w); stage: these to (N, D, u, v); head: these to (N, classes), ending in its one
    linear layer; channels: C; width: D.
    """

    features: nn.Module
    stage: nn.Module
    head: nn.Sequential
    channels: int
    width: int

    @property
    def linear(self) -> nn.Linear:
        """The last layer."""
        return self.head[-1]  # type: ignore[return-value]


def cut(backbone: nn.Module, *, stages: int = 1) -> Cut:
    """Cut a copy of a network whose children run in their order, as those of ResNets do, before its last stages.

    Args:
        stages: how many stages belong to the perception branch.

    Raises:
        UnsupportedError: the network is not such a sequence: its parts, run in order, do not give its scores.
    """
    copy = deepcopy(backbone)
    body, head = _ordered(copy)
    ends = [index for index, (_, module) in enumerate(body) if any(module.children())]
    if len(ends) <= stages or not head or not isinstance(head[-1][1], nn.Linear):
        names = ", ".join(name for name, _ in backbone.named_children())
        raise _refusal(backbone, f"its children ({names}) are not stages followed by pooling and one linear layer")
    at = ends[-stages]
    if ends[-1] != len(body) - 1:
        raise _refusal(backbone, f"between its last stage and its pooling stands {body[-1][0]}")
    features = nn.Sequential(OrderedDict(body[:at]))
    stage = body[at][1] if stages == 1 else nn.Sequential(OrderedDict(body[at:]))
    ending = [*head[:-1], ("flat", nn.Flatten()), head[-1]]  # a forward method flattens without a module
    parts = features, stage, nn.Sequential(OrderedDict(ending))
    middle, last = _checked(backbone, parts)
    return Cut(features, stage, parts[2], middle.shape[1], last.shape[1])


def _ordered(network: nn.Module) -> tuple[list[tuple[str, nn.Module]], list[tuple[str, nn.Module]]]:
    """(name, module) of the stages' part and of the head's; a trunk that holds the stages is opened."""
    children = list(network.named_children())
    split = len(children)
    while split and any(part in type(children[split - 1][1]).__name__.lower() for part in POOLS):
        split -= 1
    body, head = children[:split], children[split:]
    while body and isinstance(trunk := body[-1][1], nn.Sequential) and _is_trunk(trunk):
        inside = [(f"{body[-1][0]}_{name}", module) for name, module in trunk.named_children()]
        body = [*body[:-1], *inside]
    return body, head


def _is_trunk(module: nn.Sequential) -> bool:
    """Whether its children are stages themselves."""
    return len(module) > 1 and all(isinstance(child, nn.Sequential) for child in module)


@torch.no_grad()
def _checked(backbone: nn.Module, parts: tuple[nn.Module, nn.Module, nn.Module]) -> tuple[Tensor, Tensor]:
    """What the first two parts give for noise, where all three together give the network's own scores."""
    network = deepcopy(backbone).eval()
    weight = next(value for value in network.parameters())
    first = next((module for module in network.modules() if isinstance(module, nn.Conv2d)), None)
    if first is None:
        raise _refusal(backbone, "it has no convolution")
    rng = torch.Generator().manual_seed(0)
    noise = torch.randn(2, first.in_channels, PROBE, PROBE, generator=rng).to(weight)
    modes = [(module, module.training) for part in parts for module in part.modules()]
    try:
        for part in parts:
            part.eval()
        middle = parts[0](noise)
        last = parts[1](middle)
        made, scores = parts[2](last), network(noise)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise _refusal(backbone, f"its parts do not run one after the other ({error})") from error
    finally:
        for module, training in modes:
            module.training = training
    if not isinstance(scores, Tensor) or made.shape != scores.shape or not torch.allclose(made, scores, 1e-4, 1e-4):
        raise _refusal(backbone, "its parts, run one after the other, do not give its scores")
    return middle, last


def _refusal(backbone: nn.Module, why: str) -> UnsupportedError:
    return UnsupportedError(
        f"{type(backbone).__name__} cannot be cut into features, last stage and head: {why}; use a ResNet-like network "
        "(torchvision:resnet18 …, timm's ResNets, the small ones of explainers.baselines, or your own whose children "
        "are stages, pooling and a linear layer in the order in which they run), or build AttentionNetwork from parts"
    )
