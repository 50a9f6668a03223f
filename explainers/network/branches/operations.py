"""Operations of a forward pass that are no modules: where branches meet, told apart by their order."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from explainers.network.guard import in_own_thread

# What an activation function leaves in place: a layer is taken behind it, as it is behind a module of that kind.
RECTIFYING = frozenset(
    ("relu", "relu_", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish", "hardtanh")
)
REDUCING = frozenset(("amax", "amin", "max", "mean", "sum", "logsumexp"))  # what ends a stack of branches
Met = Callable[[int, str, list[Tensor], Tensor], Tensor | None]


class Operations(TorchFunctionMode):
    """Counts what joins tensors, rectifies or reduces one, while a network runs inside `with`, in this thread alone.

    met: is called with the operation's number, its name, the tensors that it takes and what it gave, and may return
        what the network goes on with instead. An operation in place is exchanged in place, since what it returns may
        not be looked at.
    """

    def __init__(self, network: nn.Module, met: Met) -> None:
        super().__init__()
        self.network, self.met = network, met
        self.numbers = itertools.count()
        self._handles: list[Any] = []

    def __enter__(self) -> Operations:
        self._handles.append(self.network.register_forward_pre_hook(in_own_thread(self._begin)))
        super().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        for handle in self._handles:
            handle.remove()

    def _begin(self, *_: Any) -> None:
        self.numbers = itertools.count()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        returned = func(*args, **(kwargs or {}))
        name = str(getattr(func, "__name__", "operation")).partition(".")[0]
        if name in REDUCING and isinstance(returned, tuple):  # the values, and where they were
            return type(returned)((self._seen(name, args, kwargs, returned[0]), *returned[1:]))
        return self._seen(name, args, kwargs, returned)

    def _seen(self, name: str, args: Any, kwargs: Any, returned: Any) -> Any:
        if not isinstance(returned, Tensor) or returned.ndim < 3 or not returned.is_floating_point():
            return returned
        taken = list({id(value): value for value in _tensors((args, kwargs or {}))}.values())
        if len(taken) < 2 and name not in RECTIFYING | REDUCING:
            return returned
        instead = self.met(next(self.numbers), name, taken, returned)
        if instead is None:
            return returned
        return returned.copy_(instead) if any(value is returned for value in taken) else instead


def _tensors(value: Any) -> Iterator[Tensor]:
    """Those with a dimension of positions, in the order of an operation's arguments."""
    if isinstance(value, Tensor):
        if value.ndim > 2:
            yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item)
