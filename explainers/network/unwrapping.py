"""The network behind what the user passes: a loaded model, a wrapper for several devices, a compiled module."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from explainers.errors import OptionError, UnsupportedError


def as_network(model: Any, *, several: bool = False) -> Callable[[Tensor], Any]:
    """The callable to explain.

    Args:
        model: a module, a LoadedModel or a callable; several: whether it may need more than one input.

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
    if type(model).__name__ == "ExportedProgram":
        raise OptionError("a program of torch.export cannot be called itself; pass torch.export.unflatten(program)")
    if not callable(model):
        raise OptionError(f"expected a network (a torch.nn.Module or a callable on image batches), got {type(model)}")
    if isinstance(model, nn.Module):
        _check_made(model)
    if not several:
        check_one_input(model)
    return model


def _check_made(network: nn.Module) -> None:
    """See that lazy layers have their weights, which they make in the first pass, of random numbers.

    Raises:
        UnsupportedError: some have none.
    """
    values = itertools.chain(network.named_parameters(), network.named_buffers())
    if unmade := [name for name, value in values if nn.parameter.is_lazy(value)]:
        raise UnsupportedError(
            f"{class_name(network)} has lazy layers without weights ({', '.join(unmade[:3])}); pass one batch through "
            "it, network(images), and load its weights before it is explained"
        )


def check_one_input(network: Any) -> None:
    """See that a batch of images is all that the network has to be given.

    Raises:
        UnsupportedError: it is not.
    """
    call = network.forward if isinstance(network, nn.Module) else network
    try:
        signature = inspect.signature(call)
    except (TypeError, ValueError):  # written in C
        return
    try:
        signature.bind(object())
    except TypeError as error:
        needed = [each for each in signature.parameters.values() if each.default is each.empty]
        named = [each.name for each in needed if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
        brought = ", ".join(["images", *(f"self.{name}" for name in named[1:])])
        first = named[0] if named else "images"
        raise UnsupportedError(
            f"{class_name(network)} takes ({', '.join(named)}), but explained is what takes one batch of images. "
            f"Of several inputs pass all, in Python, as a tuple or a mapping of names, with explain={first!r}; "
            f"or wrap it in a torch.nn.Module that brings the rest: def forward(self, images): return "
            f"self.network({brought})"
        ) from error


def needs_several(network: Any) -> bool:
    """Whether a batch of images is not all that the network has to be given."""
    try:
        check_one_input(network)
    except UnsupportedError:
        return True
    return False


def class_name(network: Any) -> str:
    """The network's class as errors name it."""
    return getattr(network, "__name__", None) or type(network).__name__
