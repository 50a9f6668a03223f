"""The layers of a detection network that all boxes come of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from explainers.network.capture import Capture
from explainers.network.gradients import gradients_of
from explainers.network.input import fixed_batch, run
from explainers.network.layer_choice import Survey
from explainers.network.layers import Layer


def trunk(seen: Survey, network: nn.Module, images: Tensor, scores: Callable[[Any, int], Tensor]) -> Survey:
    """A survey whose stages are those of the trunk: what every box comes of, whichever branch found it.

    A detector's layers part into branches for sizes of objects (a pyramid, heads on several stages), and the last of
    them has to do with some boxes alone. The trunk are the layers on which all ends of the graph depend, without a head
    that gives the numbers of each position themselves, where the score of a box is one entry.

    Args:
        images: (N, C, H, W), of which the first is used, as in a survey; scores: of the boxes (N, T).

    Cost: one forward and one backward pass.
    """
    leaf = (images if fixed_batch(network) is not None else images[:1]).detach().requires_grad_()
    layers = seen.layers
    with torch.enable_grad(), Capture(layers) as capture:
        found = scores(run(network, leaf), len(leaf))
    tensors = [value for value in capture.tensors if value.grad_fn is not None]
    if len(tensors) < len(layers) or not found.requires_grad:
        return seen  # parts run without a graph, which cannot tell
    below = _below([value.grad_fn for value in tensors])
    inner = {index for reached in below for index in reached}
    ends = [index for index in range(len(layers)) if index not in inner]
    shared = [all(index in below[end] or index == end for end in ends) for index in range(len(layers))]
    heads = _heads(layers, tensors, found)
    kept = tuple(layer for layer, of_all in zip(layers, shared, strict=True) if of_all and layer not in heads)
    inside = replace(seen, layers=kept, junction=None, branches=())
    return inside if inside.stages else seen


def _heads(layers: Sequence[Layer], tensors: Sequence[Tensor], scores: Tensor) -> list[Layer]:
    """The last layers, as long as their positions are read one by one and they have as many channels as the last."""
    reaching: list[tuple[Layer, Tensor]] = []
    grads = gradients_of(scores.sum(), tensors)
    for layer, grad in zip(layers, grads, strict=True):
        if grad is not None:
            reaching.append((layer, layer.layout.spatial(grad)))
    heads: list[Layer] = []
    for layer, grad in reversed(reaching):
        used = int((grad[0] != 0).any(dim=0).sum())
        same = not heads or layer.layout.channels == heads[-1].layout.channels
        if layer.layout.sequence or not same or used > scores.shape[1] or used == grad[0, 0].numel():
            break
        heads.append(layer)
    return heads


def _below(nodes: Sequence[Any]) -> list[set[int]]:
    """Of each of these nodes of a graph, which of the others it is made of."""
    places = {node: index for index, node in enumerate(nodes)}
    reached: dict[Any, frozenset[int]] = {}
    for start in nodes:
        stack = [start]
        while stack:
            node = stack[-1]
            sources = [source for source, _ in node.next_functions if source is not None]
            waiting = [source for source in sources if source not in reached]
            if waiting:
                stack.extend(waiting)
                continue
            stack.pop()
            if node not in reached:
                parts = [reached[source] | ({places[source]} if source in places else set()) for source in sources]
                reached[node] = frozenset().union(*parts)
    return [set(reached[node]) for node in nodes]
