"""The last place of a network that sees the whole image, where its branches end in no module that joins them.

A map of one branch would say nothing of the others. So where the image has a way to the scores past the last layer:

- the operation that joins the branches (`torch.cat`, `+`, a product, and the activation behind it) is taken for the
  layer, where it has positions: what a module of its own in its place would be;
- else the last layer in front of the branches, with a remark: it sees all of them, though from further away;
- else, where branches leave from the image itself, several are refused by their names, since none is the right one;
  one that only numbers without positions go past (means of colours, say) is the layer, with a remark.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from explainers.network.axes.trace import Recorded, Trace
from explainers.network.branches.operations import RECTIFYING, REDUCING, Operations
from explainers.network.guard import in_own_thread
from explainers.network.input import run
from explainers.network.layer_choice import Survey
from explainers.network.layers import Layer, layer_tensor
from explainers.network.layout import Layout, layout_told

NAMED = 3  # branches that a name or message lists, before it leaves some out


@dataclass(frozen=True)
class _Met:
    """An operation of one forward pass: its number and name, the nodes that it takes, what it gave, and by which."""

    number: int
    name: str
    taken: list[Any]
    gave: Tensor
    node: Any
    layout: Layout | None


def with_junction(seen: Survey, network: nn.Module, images: Tensor, scores: Callable[[Any, int], Tensor]) -> Survey:
    """The survey with the last place that the whole image goes through, or with the branches that have none.

    Cost: one forward pass, where the image has a way past the last stage; none else.
    """
    stages = seen.stages
    if not stages or not stages[-1].passed or stages[-1].layout.sequence:
        return seen  # of tokens, the class token is another way by design
    leaf = images.detach().requires_grad_()
    look = _Look(network, leaf, seen.layers)
    try:
        with torch.enable_grad(), Recorded():  # also where a network says `no_grad`
            result = look.run(scores)
    except RuntimeError:  # such as weights that are averaged in place, which a graph does not allow
        look = _Look(network, leaf, seen.layers)
        with torch.enable_grad():
            result = look.run(scores)
    narrows = look.trace.narrows(result)
    if not narrows:
        return seen
    usable = {id(layer) for layer in _plain(seen)}
    junction: Layer | None = None
    last: _Met | None = None
    for node in reversed(narrows):  # from the image to the scores
        layer, met = look.layers.get(node), look.met.get(node)
        if layer is not None and id(layer) in usable:
            junction, last = layer, None
        elif met is not None and _joins(met, last):
            junction, last = junction if met.layout is None else look.layer(met, junction), met
    branches = tuple(layer.label for layer in look.before([result.grad_fn], usable))
    return replace(seen, junction=junction, branches=branches)


def _plain(seen: Survey) -> list[Layer]:
    return [
        layer
        for layer in seen.layers
        if layer.fed and layer.reaches and not (layer.pooled or layer.rearranged or layer.strip or layer.layout.tied)
    ]


def _joins(met: _Met, last: _Met | None) -> bool:
    """Whether several branches of the image meet there, or it ends what the last such operation has begun: rectifies
    it, or makes of a stack of branches one that has positions."""
    if met.name not in RECTIFYING | REDUCING or len(met.taken) > 1:
        return len(met.taken) > 1
    if last is None or last.node not in met.taken:
        return False
    return last.layout is None if met.name in REDUCING else last.layout == met.layout


class _Look:
    """One forward pass in which operations are seen, and which node of the graph each layer's output is."""

    def __init__(self, network: nn.Module, leaf: Tensor, layers: tuple[Layer, ...]) -> None:
        self.network, self.leaf = network, leaf
        self.trace = Trace(leaf)
        self.wanted = {(layer.module, layer.call): layer for layer in layers}
        self.layers: dict[Any, Layer] = {}
        self.order = {id(layer): place for place, layer in enumerate(layers)}
        self.met: dict[Any, _Met] = {}

    def run(self, scores: Callable[[Any, int], Tensor]) -> Tensor:
        """The scores of the pass."""
        runs: dict[nn.Module, int] = {}

        def note(module: nn.Module, _: Any, returned: Any) -> None:
            call = runs[module] = runs.get(module, -1) + 1
            layer, tensor = self.wanted.get((module, call)), layer_tensor(returned)
            if layer is not None and tensor is not None and tensor.grad_fn is not None:
                self.layers[tensor.grad_fn] = layer

        modules = {module for module, _ in self.wanted}
        handles = [module.register_forward_hook(in_own_thread(note)) for module in modules]
        try:
            with Operations(self.network, self._meet):
                returned = run(self.network, self.leaf)
        finally:
            for handle in handles:
                handle.remove()
        return scores(returned, len(self.leaf))

    def _meet(self, number: int, name: str, taken: list[Tensor], gave: Tensor) -> None:
        if gave.grad_fn is None:
            return
        nodes = [value.grad_fn for value in taken if value is not gave and self.trace.feeds(value)]
        if any(value is gave for value in taken):  # in place: what it was before is the first of the node's own
            fed = self.trace.fed if self.trace.feeds(gave) else {}
            nodes = [parent for parent, _ in gave.grad_fn.next_functions if fed.get(parent)]
        if nodes:
            self.met[gave.grad_fn] = _Met(number, name, nodes, gave, gave.grad_fn, self.layout(gave))

    def layout(self, value: Tensor) -> Layout | None:
        axes = self.trace.axes(value)
        if len(value) != len(self.leaf) or axes is None or any(each.unknown for each in axes):
            return None
        told = layout_told(axes, self.leaf.ndim - 2)
        return None if told is None or told.sequence or max(told.grid) == 1 else told

    def layer(self, met: _Met, before: Layer | None) -> Layer:
        """The operation as a layer; before: the last place in front of it that the whole image goes through."""
        assert met.layout is not None
        if met.name in RECTIFYING and before is not None:
            return replace(before, name=f"{met.name.strip('_')}({before.name})", operation=met.number)
        labels = [layer.label for layer in self.before(met.taken, set(self.order))]
        if len(labels) > NAMED:
            labels = [*labels[: NAMED - 1], "…", labels[-1]]
        name = f"{met.name.strip('_')}({', '.join(labels)})"
        return Layer(name, self.network, met.layout, operation=met.number)

    def before(self, nodes: list[Any], wanted: set[int]) -> list[Layer]:
        """The layers among these from which ways lead to the nodes past no other, in the order of execution."""
        found: dict[int, Layer] = {}
        stack, seen = list(nodes), set(nodes)
        while stack:
            node = stack.pop()
            layer = self.layers.get(node)
            if layer is not None and id(layer) in wanted:
                found[id(layer)] = layer
                continue
            for parent, _ in node.next_functions:
                if parent is not None and parent not in seen:
                    seen.add(parent)
                    stack.append(parent)
        return sorted(found.values(), key=lambda layer: self.order[id(layer)])
