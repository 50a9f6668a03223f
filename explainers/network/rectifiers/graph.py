"""Walking an autograd graph: its nodes, what they are called and have saved, and which of them the image feeds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

Edge = tuple[Any, int]  # a node, and which of its outputs


def graph_nodes(root: Any) -> Iterator[Any]:
    """Every node of an autograd graph, once, without recursion."""
    seen, stack = {root}, [root]
    while stack:
        node = stack.pop()
        if node is None:
            continue
        yield node
        for parent, _ in node.next_functions:
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append(parent)


def from_image(root: Any, image: Tensor | None) -> list[Any]:
    """The nodes that the image feeds, each behind those that it reads; all nodes where the image is not in the graph.

    What only weights feed (a weight norm, a pruning mask) is no part of the way of a gradient to the image.
    """
    order = _parents_first(root)
    fed: set[Any] = set()
    for node in order:
        own = image is not None and (node is image.grad_fn or getattr(node, "variable", None) is image)
        if own or any(parent in fed for parent, _ in node.next_functions):
            fed.add(node)
    return [node for node in order if node in fed] if fed else order


def name_of(node: Any) -> str:
    """Such as "MulBackward0"."""
    return str(node.name()).split("::")[-1]


def kind_of(node: Any) -> str:
    """Such as "Mul"."""
    return name_of(node).rpartition("Backward")[0] or name_of(node)


def saved(node: Any, *names: str) -> list[Any]:
    """What the node has kept under these names, None where it has nothing or gives nothing away."""
    found = []
    for name in names:
        try:
            found.append(getattr(node, f"_saved_{name}", None))
        except RuntimeError:
            found.append(None)
    return found


def shape_of(node: Any, output: int = 0) -> torch.Size | None:
    """The shape of an output in the forward pass; None where it is not known."""
    described = getattr(node, "_input_metadata", ())
    try:
        return torch.Size(described[output].shape) if output < len(described) else None
    except RuntimeError:  # a nested tensor has none
        return None


def positive(dim: int, dims: int) -> int:
    """A dimension counted from the front; nodes keep negative ones as large unsigned numbers."""
    return (dim - 2**64 if dim >= 2**63 else dim) % dims


def _parents_first(root: Any) -> list[Any]:
    order: list[Any] = []
    seen: set[Any] = set()
    stack = [(root, False)]
    while stack:
        node, finished = stack.pop()
        if finished:
            order.append(node)
        elif node is not None and node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack += [(parent, False) for parent, _ in node.next_functions]
    return order
