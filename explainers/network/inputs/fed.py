"""Which runs of a module depend on the explained input, and which on what it comes with alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from explainers.network.guard import in_own_thread
from explainers.network.input import another, run
from explainers.network.layers import layer_tensor


def fed_runs(network: Any, images: Tensor, module: nn.Module) -> tuple[int, list[int]]:
    """(How many times the module runs in a forward pass, which of them give something else for another image).

    Cost: two forward passes.
    """
    seen: list[list[Any]] = []
    for given in (images, another(images)):
        outputs: list[Any] = []
        seen.append(outputs)

        def note(_: nn.Module, __: Any, returned: Any, outputs: list[Any] = outputs) -> None:
            tensor = layer_tensor(returned)
            outputs.append(None if tensor is None else tensor.detach().clone())

        handle = module.register_forward_hook(in_own_thread(note))
        try:
            with torch.no_grad():
                run(network, given)
        finally:
            handle.remove()
    first, second = seen
    return len(first), [
        index
        for index, (one, two) in enumerate(zip(first, second, strict=False))
        if isinstance(one, Tensor) and not (isinstance(two, Tensor) and torch.equal(one, two))
    ]
