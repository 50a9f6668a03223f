"""The network behind what the user passes: a loaded model, a wrapper for several devices, a compiled module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from explainers.errors import OptionError


def as_network(model: Any) -> Callable[[Tensor], Any]:
    """The callable to explain.

    `DataParallel`, `DistributedDataParallel` and `torch.compile` wrappers are looked through: replicas and compiled
    graphs run without the hooks of the module that the user holds, and the module inside has the same weights.
    """
    if not isinstance(model, nn.Module) and callable(getattr(model, "network", None)):
        model = model.network
    while isinstance(model, nn.Module):
        if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model = model.module
        elif isinstance(getattr(model, "_orig_mod", None), nn.Module):
            model = model._orig_mod
        else:
            break
    if not callable(model):
        raise OptionError(f"expected a network (a torch.nn.Module or a callable on image batches), got {type(model)}")
    return model


def class_name(network: Any) -> str:
    """The network's class as errors name it."""
    return getattr(network, "__name__", None) or type(network).__name__
