"""Leave the network, and torch's global modes, as they were found; one thread at a time, and out of the others' way."""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from explainers.network.as_found import WILLING, Buffer, buffers_of, willing

HOOK_TABLES = (
    "_forward_pre_hooks",
    "_forward_hooks",
    "_backward_pre_hooks",
    "_backward_hooks",
)
INSTALLED = "_output_capturing_hooks_installed"  # a flag of transformers, whose first pass sets hooks once for all
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
    with alone(*modules), willing(), _restored(model, modules):
        yield


@contextmanager
def _restored(model: nn.Module, modules: list[nn.Module]) -> Iterator[None]:
    modes = [getattr(module, "training", False) for module in modules]  # frozen TorchScript has no such flag
    hooks = [{table: set(getattr(module, table, ())) for table in HOOK_TABLES} for module in modules]
    without = [module for module in modules if INSTALLED not in getattr(module, "__dict__", {})]
    parameters = [(parameter, parameter.requires_grad, parameter.grad) for parameter in model.parameters()]
    buffers = [Buffer(module, name, value) for module in modules for name, value in buffers_of(module)]
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
                for key in [key for key in list(live) if key not in keys and key not in WILLING.foreign]:
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


def _lock(thing: object) -> tuple[int, threading.RLock]:
    if thing not in _locks:
        _locks[thing] = next(_numbers), threading.RLock()
    return _locks[thing]
