"""Batch norm folded into the convolution in front of it, where a pass shows that nothing else sees what is between."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from explainers.network.guard import HOOK_TABLES, in_own_thread

FOLDED = (torch.float32, torch.float64)  # fewer bits would round the product visibly


def fold(network: nn.Module, run: Callable[[], object]) -> int:
    """Fold each batch norm of a network that reads a convolution's output, alone, into that convolution, in place.

    A pair is a plain Conv2d and a plain BatchNorm2d with running statistics, each called once in the pass, without
    hooks; no other operation touches the tensor between them or the convolution's weights. That holds for the one pass
    seen: another path through the network is for the caller to check.

    Args:
        network: in evaluation mode, to be changed. Shared parameters are replaced, never written to.
        run: makes one pass of it, up to the scores.

    Returns:
        How many pairs were folded.

    Cost: one pass.
    """
    pairs = _pairs(network, run)
    for conv, norm in pairs:
        _merge(conv, norm)
    return len(pairs)


def _pairs(network: nn.Module, run: Callable[[], object]) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    watch = _Watch()
    with ExitStack() as stack:
        for module in network.modules():
            if _is_conv(module) or _is_norm(module):
                stack.callback(module.register_forward_pre_hook(in_own_thread(watch.enter)).remove)
                stack.callback(module.register_forward_hook(in_own_thread(watch.leave)).remove)
        stack.enter_context(watch)
        run()
    return [
        (conv, norm)
        for conv, norm in watch.norms.items()
        if not {conv, norm} & watch.spoiled and conv.out_channels == norm.num_features
    ]


class _Watch(TorchDispatchMode):
    """Sees every operation on what a convolution reads and returns that is not its own or its batch norm's."""

    def __init__(self) -> None:
        super().__init__()
        self.norms: dict[nn.Conv2d, nn.BatchNorm2d] = {}
        self.spoiled: set[nn.Module] = set()
        self._called: set[nn.Module] = set()
        self._now: nn.Module | None = None
        self._outputs: dict[nn.Conv2d, Tensor] = {}  # kept, so that no other tensor gets their memory
        self._readers: dict[int, tuple[nn.Module, nn.Module | None]] = {}  # memory → its convolution, who may touch it

    def enter(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if module in self._called:
            self.spoiled.add(module)
        self._called.add(module)
        self._now = module
        if isinstance(module, nn.Conv2d):
            for value in module.parameters():
                self._readers[_memory(value)] = module, module
        elif isinstance(module, nn.BatchNorm2d) and args:
            conv, reader = self._readers.get(_memory(args[0]), (None, None))
            if isinstance(conv, nn.Conv2d) and reader is None and self._outputs[conv] is args[0]:
                self._readers[_memory(args[0])] = conv, module
                self.norms[conv] = module

    def leave(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        self._now = None
        if isinstance(module, nn.Conv2d):
            self._outputs[module] = output
            self._readers[_memory(output)] = module, None

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for value in tree_leaves((args, kwargs)):
            if isinstance(value, Tensor):
                conv, reader = self._readers.get(_memory(value), (None, None))
                if conv is not None and (reader is None or reader is not self._now):
                    self.spoiled.add(conv)
        return operation(*args, **(kwargs or {}))


def _is_conv(module: nn.Module) -> bool:
    return type(module) is nn.Conv2d and module.weight.dtype in FOLDED and _is_plain(module)


def _is_norm(module: nn.Module) -> bool:
    """Subclasses are left out: they may do more, as timm's, which apply an activation."""
    return (
        type(module) is nn.BatchNorm2d
        and not module.training
        and module.running_mean is not None
        and module.running_var is not None
        and _is_plain(module)
    )


def _is_plain(module: nn.Module) -> bool:
    """Whether a call runs the class's forward with the module's own parameters and nothing else."""
    hooked = any(getattr(module, table) for table in HOOK_TABLES)
    own = all(type(value) is nn.Parameter for value in module.parameters())
    return own and not hooked and "forward" not in vars(module)


def _merge(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """γ (W x + b - μ) / √(σ² + ε) + β as one convolution, computed in float64."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = (_double(norm.running_var) + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * _double(norm.weight)
    bias = -_double(norm.running_mean) * scale
    if conv.bias is not None:
        bias = bias + _double(conv.bias) * scale
    if norm.bias is not None:
        bias = bias + _double(norm.bias)
    weight = _double(conv.weight) * scale[:, None, None, None]
    conv.bias = nn.Parameter(bias.to(conv.weight), requires_grad=False)
    conv.weight = nn.Parameter(weight.to(conv.weight), requires_grad=False)
    # Not replaced in its parent: other names, lists and functions of the network may hold it, or read its attributes.
    vars(norm)["forward"] = _unchanged


def _unchanged(images: Tensor) -> Tensor:
    return images


def _double(value: Tensor) -> Tensor:
    return value.detach().to("cpu", torch.float64)  # some devices have no float64


def _memory(value: Tensor) -> int:
    return value.untyped_storage().data_ptr()
