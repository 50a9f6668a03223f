"""Reading the dimensions of tensors, and whether the image feeds them, off the graph of one forward pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from explainers.network.axes.axis import Axes, image_axes
from explainers.network.axes.rules import rule_of

Key = tuple[Any, int]  # a node of the graph and which of its results


class Recorded(TorchFunctionMode):
    """Records the graph also where a network says `no_grad`, of this thread's operations alone."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with torch.enable_grad():
            return func(*args, **(kwargs or {}))


class Trace:
    """What the graph says of the tensors that come out of an image.

    image: (N, C, H, W), or with one or three axes, a leaf that requires a gradient.
    """

    def __init__(self, image: Tensor) -> None:
        self.leaf = image
        self.known: dict[Key, Axes | None] = {}
        self.fed: dict[Any, bool] = {}

    def axes(self, tensor: Tensor) -> Axes | None:
        """The dimensions of a tensor, or None where nothing is known: it has no graph, or is made of weights alone."""
        node = tensor.grad_fn
        if node is None:
            return None
        self._walk(node)
        return self._of((node, tensor.output_nr))

    def feeds(self, tensor: Tensor) -> bool:
        """Whether a way through the graph leads from the image to the tensor."""
        if tensor.grad_fn is None:
            return False
        self._walk(tensor.grad_fn)
        return self.fed[tensor.grad_fn]

    def narrows(self, tensor: Tensor) -> list[Any]:
        """The nodes that every way from the image to the tensor leads through, the nearest to the tensor first."""
        if not self.feeds(tensor):
            return []
        order = self._order(tensor.grad_fn)
        places = {node: place for place, node in enumerate(order)}
        found, furthest = [], 0
        for place, node in enumerate(order):
            if furthest <= place:  # no way leads past it
                found.append(node)
            furthest = max([furthest, *(places[parent] for parent in self._parents(node))])
        return found

    def _parents(self, node: Any) -> list[Any]:
        return [parent for parent, _ in node.next_functions if parent is not None and self.fed[parent]]

    def _order(self, last: Any) -> list[Any]:
        """What leads from the image to this node, every node before those that it is made of."""
        done: dict[Any, None] = {}
        stack = [last]
        while stack:
            node = stack[-1]
            waiting = [parent for parent in self._parents(node) if parent not in done]
            if node in done or not waiting:
                done[stack.pop()] = None
            else:
                stack.extend(waiting)
        return list(reversed(done))

    def _walk(self, last: Any) -> None:
        """Settle every node that `last` stands on, the ones nearer to the image first."""
        stack = [last]
        while stack:
            node = stack[-1]
            missing = [parent for parent, _ in node.next_functions if parent is not None and parent not in self.fed]
            if missing and node not in self.fed:
                stack.extend(missing)
                continue
            stack.pop()
            if node not in self.fed:
                leaf = getattr(node, "variable", None) is self.leaf
                self.fed[node] = leaf or any(self.fed[parent] for parent, _ in node.next_functions if parent)

    def _of(self, last: Key) -> Axes | None:
        stack = [last]
        while stack:
            node, output = stack[-1]
            operands = [(parent, which) for parent, which in node.next_functions if parent is not None]
            missing = [key for key in operands if key not in self.known]
            if missing and (node, output) not in self.known:
                stack.extend(missing)
                continue
            stack.pop()
            if (node, output) not in self.known:
                self.known[node, output] = self._settled(node, output)
        return self.known[last]

    def _settled(self, node: Any, output: int) -> Axes | None:
        if not node.next_functions:
            is_image = getattr(node, "variable", None) is self.leaf
            return image_axes(tuple(self.leaf.shape)) if is_image else None
        operands = [None if parent is None else self.known[parent, which] for parent, which in node.next_functions]
        shape = tuple(int(size) for size in node._input_metadata[output].shape)
        return rule_of(node, self.leaf.ndim)(node, operands, shape)
