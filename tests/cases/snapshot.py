"""Everything about a network that a call must not change."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def snapshot(network: nn.Module) -> dict[str, Any]:
    """Modes, flags, values, gradients and hooks of every module; compare with `same`."""
    return {
        "modes": [module.training for module in network.modules()],
        "classes": [type(module) for module in network.modules()],
        "flags": [value.requires_grad for value in network.parameters()],
        "identities": [id(value) for value in network.parameters()],
        "values": [value.detach().clone() for value in network.parameters()],
        "grads": [None if value.grad is None else value.grad.clone() for value in network.parameters()],
        "buffers": {name: value.clone() for name, value in network.named_buffers()},
        "hooks": [
            {key: list(table) for key, table in vars(module).items() if key.endswith("_hooks")}
            for module in network.modules()
        ],
    }


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Whether two snapshots agree in every value."""
    return first.keys() == second.keys() and all(_equal(first[key], second[key]) for key in first)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(_equal, a, b))
    return bool(a == b)
