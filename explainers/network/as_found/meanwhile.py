"""What torch does otherwise inside an explainer's call, in the threads that are inside alone."""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch.utils.checkpoint
from torch import Tensor
from torch.utils.hooks import RemovableHandle

DYNAMO = "torch._dynamo.eval_frame"
MOST_NOTED = 100_000  # hooks
_table = threading.Lock()


class Willing:
    """In the threads that are inside, torch does what a network asks for where a map needs it otherwise.

    Reentrant checkpoints, which allow no gradient of an inner tensor and hide what is inside, run their function as if
    there were none: the values are the same, only memory is not saved. `register_hook` and `retain_grad` of a tensor
    without gradient, an error in torch, do nothing: none will come. What was compiled, the network or a part of it,
    runs as it was written: compiled code that has run before passes by the hooks that layers are read with. What is
    exchanged asks in which thread it is. Hooks that other threads set meanwhile are noted: they are not the call's.
    """

    def __init__(self) -> None:
        self.depth: dict[int, int] = {}  # of each thread that is inside
        self.checkpoint: Any = None
        self.foreign: dict[int, None] = {}  # numbers of hooks that threads outside have set
        self.compiling: set[int] = set()  # threads that are inside and run what this package has compiled
        self.stance: Any = None

    def enter(self) -> None:
        """This thread is inside, once more."""
        with _table:
            if not self.depth:
                self._exchange()
            me = threading.get_ident()
            self.depth[me] = self.depth.get(me, 0) + 1

    def leave(self) -> None:
        """This thread has left, as often as it has entered."""
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
        self.stance = _exchange_stance(lambda: threading.get_ident() in depth.keys() - self.compiling)

    def _put_back(self) -> None:
        torch.utils.checkpoint.CheckpointFunction = self.checkpoint  # type: ignore[misc]
        Tensor.register_hook = self.hook  # type: ignore[method-assign]
        Tensor.retain_grad = self.retain  # type: ignore[method-assign]
        RemovableHandle.__init__ = self.handle  # type: ignore[method-assign]
        if self.stance is not None:
            sys.modules[DYNAMO]._callback_from_stance = self.stance  # type: ignore[attr-defined]
        self.foreign.clear()


def _exchange_stance(as_written: Callable[[], bool]) -> Any:
    """Have torch's compiler ask whether code runs as it was written; what it had asked before, None where it does not.

    Nothing can be compiled before the compiler was imported, which takes seconds and is left to who wants it.
    """
    dynamo = sys.modules.get(DYNAMO)
    plain = getattr(dynamo, "_callback_from_stance", None)  # torch 2.6 or later
    if dynamo is not None and plain is not None:

        def callback_from_stance(callback: Any) -> Any:
            return None if as_written() else plain(callback)

        dynamo._callback_from_stance = callback_from_stance  # type: ignore[attr-defined]
    return plain


WILLING = Willing()


@contextmanager
def willing() -> Iterator[None]:
    """Inside, torch does so in this thread."""
    WILLING.enter()
    try:
        yield
    finally:
        WILLING.leave()


@contextmanager
def compiled_code() -> Iterator[None]:
    """Inside, what was compiled runs compiled in this thread: for what this package has compiled itself."""
    me = threading.get_ident()
    before = me in WILLING.compiling
    WILLING.compiling.add(me)
    try:
        yield
    finally:
        if not before:
            WILLING.compiling.discard(me)
