"""Leave the network, and torch's global modes, as they were found; one thread at a time, and out of the others' way."""

from __future__ import annotations

import itertools
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
import torch.utils.checkpoint
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

HOOK_TABLES = (
    "_forward_pre_hooks",
    "_forward_hooks",
    "_backward_pre_hooks",
    "_backward_hooks",
)
INSTALLED = "_output_capturing_hooks_installed"  # a flag of transformers, whose first pass sets hooks once for all
MOST_NOTED = 100_000  # hooks
GLOBAL_SWITCHES = threading.RLock()  # held by whoever sets a switch or a generator that all of torch shares


class _Gate:
    """Many threads may be inside, or one alone; who is inside may go in again."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.depth: dict[int, int] = {}  # of each thread that is inside
        self.holder: int | None = None  # of the thread that is alone
        self.held = 0

    @contextmanager
    def inside(self) -> Iterator[None]:
        me = threading.get_ident()
        with self.changed:
            if me not in self.depth:  # else it may have what the one who would be alone waits for
                self.changed.wait_for(lambda: self.holder in (None, me))
            self.depth[me] = self.depth.get(me, 0) + 1
        try:
            yield
        finally:
            with self.changed:
                self.depth[me] -= 1
                if not self.depth[me]:
                    del self.depth[me]
                self.changed.notify_all()

    @contextmanager
    def held_alone(self) -> Iterator[None]:
        me = threading.get_ident()
        with self.changed:
            self.changed.wait_for(lambda: self.holder in (None, me) and not self.depth.keys() - {me})
            self.holder, self.held = me, self.held + 1
        try:
            yield
        finally:
            with self.changed:
                self.held -= 1
                self.holder = me if self.held else None
                self.changed.notify_all()


_GATE = _Gate()
_table = threading.Lock()
_numbers = itertools.count()
_locks: weakref.WeakKeyDictionary[Any, tuple[int, threading.RLock]] = weakref.WeakKeyDictionary()


@contextmanager
def alone(*things: object) -> Iterator[None]:
    """Inside, no other thread is in such a block with one of these things; the same thread may enter it again.

    Locks are taken in one order for all threads. What takes no weak reference has none.
    """
    with _table:
        found = {_lock(thing) for thing in things if type(thing).__weakrefoffset__}
    with ExitStack() as stack:
        stack.enter_context(_GATE.inside())
        for _, lock in sorted(found, key=lambda each: each[0]):
            stack.enter_context(lock)
        yield


@contextmanager
def all_others_waiting() -> Iterator[None]:
    """Inside, no other thread is in a block of `alone` or `preserved`, whatever its network.

    For what changes weights in place, or begins a generator that all of torch shares anew, while explainers are called.

    Not to be entered inside of such a block, where two threads could wait for each other. Passes that come through no
    explainer are not held up.
    """
    with _GATE.held_alone():
        yield


def in_own_thread(hook: Callable[..., Any]) -> Callable[..., Any]:
    """A module hook that does nothing in other threads, whose passes through the network are their own business."""
    owner = threading.get_ident()

    def own(*args: Any) -> Any:
        return hook(*args) if threading.get_ident() == owner else None

    return own


@contextmanager
def preserved(model: object) -> Iterator[None]:
    """Evaluation mode inside; afterwards modes, `requires_grad`, `.grad`, buffers and hooks are what they were.

    Calls of several threads wait for each other where their networks have a module in common. Passes of others that
    come through no explainer are not held up: hooks act in the thread that set them alone, and those that they set
    meanwhile stay. A network in train mode is in evaluation mode for them too, meanwhile.

    The train/eval flags are set one by one instead of through `model.eval()`, because networks override `train()` with
    side effects (merged adapters, frozen batch norm) and exported ones refuse it.
    """
    if not isinstance(model, nn.Module):
        yield
        return
    modules = list(model.modules())
    with alone(*modules), _willing(), _restored(model, modules):
        yield


@contextmanager
def _restored(model: nn.Module, modules: list[nn.Module]) -> Iterator[None]:
    modes = [getattr(module, "training", False) for module in modules]  # frozen TorchScript has no such flag
    hooks = [{table: set(getattr(module, table, ())) for table in HOOK_TABLES} for module in modules]
    without = [module for module in modules if INSTALLED not in getattr(module, "__dict__", {})]
    parameters = [(parameter, parameter.requires_grad, parameter.grad) for parameter in model.parameters()]
    buffers = [_Buffer(module, name, value) for module in modules for name, value in _buffers(module)]
    try:
        for module, training in zip(modules, modes, strict=True):
            if training:
                module.training = False
        yield
    finally:
        for module, training, tables in zip(modules, modes, hooks, strict=True):
            if getattr(module, "training", training) != training:
                module.training = training
            for table, keys in tables.items():
                live: dict[int, object] = getattr(module, table, {})
                for key in [key for key in list(live) if key not in keys and key not in _WILLING.foreign]:
                    live.pop(key, None)
        for module in without:  # with its hooks goes what says that they are there, or no pass would set them again
            getattr(module, "__dict__", {}).pop(INSTALLED, None)
        for parameter, requires_grad, grad in parameters:
            if parameter.requires_grad != requires_grad:
                parameter.requires_grad_(requires_grad)
            if parameter.grad is not grad:
                parameter.grad = grad
        for buffer in buffers:
            buffer.restore()


@contextmanager
def exact(images: Tensor, *, gradients: bool) -> Iterator[None]:
    """The caller's `no_grad`, `inference_mode` and `autocast` are suspended: the same map under all of them."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.set_grad_enabled(gradients))
        for device in {"cpu", images.device.type}:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        yield


class _Willing:
    """In the threads that are inside, torch does what a network asks for where a map needs it otherwise.

    Reentrant checkpoints, which allow no gradient of an inner tensor and hide what is inside, run their function as if
    there were none: the values are the same, only memory is not saved. `register_hook` and `retain_grad` of a tensor
    without gradient, an error in torch, do nothing: none will come. What is exchanged asks in which thread it is.
    Hooks that other threads set meanwhile are noted: they are not the call's.
    """

    def __init__(self) -> None:
        self.depth: dict[int, int] = {}  # of each thread that is inside
        self.checkpoint: Any = None
        self.foreign: dict[int, None] = {}  # numbers of hooks that threads outside have set

    def enter(self) -> None:
        with _table:
            if not self.depth:
                self._exchange()
            me = threading.get_ident()
            self.depth[me] = self.depth.get(me, 0) + 1

    def leave(self) -> None:
        with _table:
            me = threading.get_ident()
            self.depth[me] -= 1
            if not self.depth[me]:
                del self.depth[me]
            if not self.depth:
                self._put_back()

    def _exchange(self) -> None:
        self.checkpoint, depth = torch.utils.checkpoint.CheckpointFunction, self.depth
        plain_checkpoint, plain_hook, plain_retain = self.checkpoint, Tensor.register_hook, Tensor.retain_grad
        self.hook, self.retain, self.handle = plain_hook, plain_retain, RemovableHandle.__init__
        plain_handle, foreign = self.handle, self.foreign

        def handle(made: RemovableHandle, *given: Any, **named: Any) -> None:
            plain_handle(made, *given, **named)
            if threading.get_ident() not in depth:
                foreign[made.id] = None
                if len(foreign) > MOST_NOTED:
                    foreign.pop(next(iter(foreign)), None)

        class Checkpoint(plain_checkpoint):  # type: ignore[misc, valid-type]
            @classmethod
            def apply(cls, function: Callable[..., Any], preserve: bool, *inputs: Any) -> Any:
                inside = threading.get_ident() in depth
                return function(*inputs) if inside else plain_checkpoint.apply(function, preserve, *inputs)

        def register_hook(tensor: Tensor, hook: Callable[..., Any]) -> Any:
            if threading.get_ident() in depth and not tensor.requires_grad:
                return RemovableHandle(OrderedDict())
            return plain_hook(tensor, hook)

        def retain_grad(tensor: Tensor) -> None:
            if threading.get_ident() not in depth or tensor.requires_grad:
                plain_retain(tensor)

        torch.utils.checkpoint.CheckpointFunction = Checkpoint  # type: ignore[misc]
        Tensor.register_hook = register_hook  # type: ignore[assignment, method-assign]
        Tensor.retain_grad = retain_grad  # type: ignore[assignment, method-assign]
        RemovableHandle.__init__ = handle  # type: ignore[assignment, method-assign]

    def _put_back(self) -> None:
        torch.utils.checkpoint.CheckpointFunction = self.checkpoint  # type: ignore[misc]
        Tensor.register_hook = self.hook  # type: ignore[method-assign]
        Tensor.retain_grad = self.retain  # type: ignore[method-assign]
        RemovableHandle.__init__ = self.handle  # type: ignore[method-assign]
        self.foreign.clear()


_WILLING = _Willing()


@contextmanager
def _willing() -> Iterator[None]:
    _WILLING.enter()
    try:
        yield
    finally:
        _WILLING.leave()


def _lock(thing: object) -> tuple[int, threading.RLock]:
    if thing not in _locks:
        _locks[thing] = next(_numbers), threading.RLock()
    return _locks[thing]


def _buffers(module: nn.Module) -> list[tuple[str, Tensor | None]]:
    """Those that are None as well: a pass may fill them, as networks do that keep the map of their last images."""
    if isinstance(module, torch.jit.ScriptModule):
        return list(module.named_buffers(recurse=False))
    return [(name, value) for name, value in module._buffers.items() if value is None or isinstance(value, Tensor)]


class _Buffer:
    """A copy of one buffer, written back only if something has written to the original."""

    def __init__(self, module: nn.Module, name: str, value: Tensor | None) -> None:
        self.module, self.name, self.value = module, name, value
        self.copy = None if value is None else value.detach().clone()
        self.version = -1 if value is None or value.is_inference() else value._version

    def restore(self) -> None:
        changed = self.value is not None and not self.value.is_inference() and self.value._version != self.version
        if changed and self.value is not None and self.copy is not None:
            with torch.no_grad():
                self.value.copy_(self.copy)
        if getattr(self.module, self.name, None) is not self.value and self.name in self.module._buffers:
            self.module._buffers[self.name] = self.value
