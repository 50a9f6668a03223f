"""The trap networks as cases: each structure with the answers it must get."""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from network_case import CHANNELS, LAYER, METHODS, PLAIN, RECTIFIED, WATCHING, Case, Stage, as_it_is, softmaxed
from network_families import channels_last, patches, stages, torch_attention
from network_structures import (
    Around,
    ChannelsLast,
    Checkpointed,
    Dead,
    Flat,
    Gradless,
    Looping,
    Modular,
    Normed,
    PreActivation,
    Residual,
    Result,
    Reused,
    SideBranch,
    Tokens,
    TupleLayer,
    TwoLayerHead,
    split_norm,
    written_attention,
)
from torch import Tensor, nn

HEAD: dict[str, Any] = {"layer": "relu3", "chain": True, "linear": "head"}
INNER: dict[str, Any] = {"layer": "inner.relu3", "chain": True, "linear": "inner.head"}
IMAGE_GRADIENT = PLAIN | RECTIFIED | {"full-grad"}
Pair = namedtuple("Pair", "aux scores")


def trap(name: str, factory: Callable[[], nn.Module], **facts: Any) -> Case:
    return Case(name, "trap", factory, **facts)


def first(returned: Any) -> Tensor:
    return returned[0]


def second(returned: Any) -> Tensor:
    return returned[1]


def returning(name: str, behind: Callable[[Tensor], Any], scores: Callable[[Any], Tensor]) -> Case:
    return trap(name, partial(Around, behind=behind), scores=scores, **INNER)


def refused(name: str, behind: Callable[[Tensor], Any]) -> Case:
    return trap(name, partial(Around, behind=behind), refused=METHODS)


def checkpointed(reentrant: bool) -> Callable[[nn.Module, Tensor], nn.Module]:
    def wrap(network: nn.Module, images: Tensor) -> nn.Module:
        network.reentrant = reentrant  # type: ignore[assignment]
        return network

    return wrap


def sequential() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 6, 3, stride=2), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.BatchNorm2d(8), nn.ReLU(),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(8, 5))  # fmt: skip


STRUCTURES = (
    trap("ReLU modules", Modular, **HEAD),
    trap("ReLU modules in place", partial(Modular, inplace=True), **HEAD),
    trap("in-place ReLU behind the chosen layer", partial(Modular, inplace=True), layer="conv3", given=True,
         linear="head", cap=math.inf, chain=True),
    trap("nn.Sequential", sequential, layer="4", linear="8", chain=True),
    trap("one ReLU at three places", Reused, **{**HEAD, "layer": "relu1#2"}),
    trap("skip connection, in place", Residual, layer="block", linear="head", walk=stages("stem 3/1/1, block 3/2/1")),
    *(trap(f"pre-activation, {name}", partial(PreActivation, **how), layer="blocks", linear="head", cap=math.inf,
           walk=(Stage("blocks", 3, 2, 1),))
      for name, how in {"modules": {"functional": False}, "functions": {"functional": True},
                        "addition in place": {"functional": True, "inplace_add": True}}.items()),
    trap("no pooling", Flat, layer="relu3", chain=True),
    trap("maximum pooling, two-layer head", TwoLayerHead, layer="relu3", chain=True),
    trap("side branch runs last, unused module, counted calls", SideBranch, scores=first, **HEAD),
    trap("layer that returns a tuple", TupleLayer, **{**HEAD, "layer": "last"}),
    trap("weight norm", split_norm, **HEAD),
    trap("dead last layer", Dead, **{**HEAD, "layer": "relu3#1"}),
    trap("instance norm, channels that sum to zero", partial(Normed, nn.InstanceNorm2d(10)), layer="relu3", chain=True),
    trap("group norm", partial(Normed, nn.GroupNorm(2, 10)), layer="relu3", chain=True),
    # Its scores for one image depend on the others: the answer is the image's own, as for a batch of one.
    trap("batch statistics in evaluation", partial(Normed, nn.BatchNorm2d(10, track_running_stats=False)),
         layer="relu3", chain=True, either=METHODS),
    trap("goes through the batch image by image", Looping, either=METHODS, **HEAD),
    *(trap(f"checkpoint, {name}", Checkpointed, wrap=checkpointed(reentrant), either=METHODS, **HEAD)
      for name, reentrant in {"reentrant": True, "not reentrant": False}.items()),
    trap("NHWC, ReLU", ChannelsLast, layer="blocks", spatial=channels_last, linear="head",
         either=frozenset({"full-grad"})),
    trap("NHWC, GELU", partial(ChannelsLast, nn.GELU), layer="blocks", spatial=channels_last, linear="head",
         rectifiers="smooth"),
    # 8 × 8 positions of 8 channels: nothing in the shape says which are which.
    trap("NHWC, as many channels as rows", partial(ChannelsLast, width=8), layer="blocks", spatial=channels_last,
         linear="head", either=METHODS - PLAIN),
    trap("tokens, class token, GELU", Tokens, layer="blocks.2.norm", spatial=patches(8, 8), rectifiers="smooth",
         attention=written_attention, grid=(8, 8)),
    trap("tokens, registers, ReLU", partial(Tokens, 4, nn.ReLU), layer="blocks.2.norm", spatial=patches(8, 8, 4),
         attention=written_attention, prefix=4, grid=(8, 8)),
    trap("tokens, averaged", partial(Tokens, 0, nn.ReLU), layer="norm", spatial=patches(8, 8, 0), linear="head"),
    trap("tokens, torch's encoder", partial(Tokens, encoder=True), layer="blocks.1", spatial=patches(8, 8),
         attention=torch_attention, grid=(8, 8)),
    trap("no_grad around all features", partial(Gradless, "features"), refused=IMAGE_GRADIENT, either=METHODS, **HEAD),
    trap("no_grad around the first layers", partial(Gradless, "first layers"), refused=IMAGE_GRADIENT,
         either=frozenset({"visual-backprop"}), **HEAD),
    trap("detached features", partial(Gradless, "detach"),
         refused=IMAGE_GRADIENT | {"group-cam"} | (LAYER - {"cam", "eigen-cam"}),
         either=CHANNELS | {"cam", "eigen-cam", "visual-backprop"}, **HEAD),
)  # fmt: skip

DOORS = (
    returning("returns a tuple", lambda y: (torch.zeros(1), y), second),
    returning("returns a named tuple", lambda y: Pair(torch.zeros(len(y), 2, 3, 3), y), second),
    returning("returns a list", lambda y: [y, {"aux": 1}], first),
    returning("returns a dict with logits", lambda y: {"loss": None, "logits": y}, lambda r: r["logits"]),
    returning("returns a dict with out", lambda y: {"aux": y * 2, "out": y}, lambda r: r["out"]),
    returning("returns a dataclass", lambda y: Result(y, y[:, :1]), lambda r: r.logits),
    refused("returns a dict with other keys", lambda y: {"prediction": y, "embedding": y}),
    refused("returns a map of scores", lambda y: y[:, :, None, None].expand(-1, -1, 4, 4)),
    refused("returns a vector", lambda y: y[:, 0]),
    refused("returns class indices", lambda y: y.argmax(1)),
    refused("returns NaN", lambda y: y / 0 * 0),
    refused("returns features and logits", lambda y: (y.repeat(1, 3), y)),
    *(trap(f"{name} inside the network", partial(Around, behind=behind),
           **{**INNER, "linear": None, "watched": watched})
      for name, behind, watched in (
          ("softmax", lambda y: y.softmax(1), as_it_is),
          ("clamped softmax", lambda y: y.softmax(1).clamp(1e-6, 1 - 1e-6), as_it_is),
          ("log-softmax", lambda y: y.log_softmax(1), softmaxed),
          ("sigmoid", torch.sigmoid, as_it_is),
          ("one sigmoid", lambda y: y[:, :1].sigmoid(), as_it_is),
      )),
    trap("one value", partial(Around, behind=lambda y: y[:, :1] + 40), refused=WATCHING, **{**INNER, "linear": None}),
    trap("works on its input in place", partial(Around, before=lambda x: x.mul_(2)), **INNER),
    trap("normalises its input", partial(Around, before=lambda x: (x - 0.4) / 0.3), **INNER),
    trap("one channel", partial(Modular, 1), shape=(1, 32, 32), **HEAD),
    trap("six channels", partial(Modular, 6), shape=(6, 32, 32), **HEAD),
    trap("two classes", partial(Modular, classes=2), **HEAD),
    trap("one score", partial(Modular, classes=1), watched=torch.sigmoid, **HEAD),
    trap("wide image 40 × 72", Modular, shape=(3, 40, 72), **HEAD),
    trap("odd image 37 × 53", Modular, shape=(3, 37, 53), **HEAD),
    trap("odd image 37 × 53, skip connection", Residual, shape=(3, 37, 53), layer="block", linear="head",
         walk=stages("stem 3/1/1, block 3/2/1")),
    trap("tall NHWC image 48 × 20", ChannelsLast, shape=(3, 48, 20), layer="blocks", spatial=channels_last,
         linear="head", either=frozenset({"full-grad"})),
    trap("tall image of tokens 48 × 20", partial(Tokens, 1, nn.ReLU), shape=(3, 48, 20), layer="blocks.2.norm",
         spatial=patches(12, 5), attention=written_attention, grid=(12, 5)),
)  # fmt: skip
