"""What a call has left on a network: modes, gradients, hooks, buffers, exchanged modules; cheap for large networks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_state_dict_hooks",
)


class Traces:
    """The state of a network when this was made; `left()` names what has changed since."""

    def __init__(self, network: Any) -> None:
        # Behind a function stands no module that could be looked at from here.
        self.network = network if isinstance(network, nn.Module) else None
        self.before = self._state()
        self.values = [(buffer, buffer.detach().clone()) for buffer in self._buffers()]

    def left(self) -> list[str]:
        """Such as ["gradients", "hooks"]; empty where the network is as it was."""
        after = self._state()
        changed = [name for name, value in self.before.items() if value != after[name]]
        if any(not torch.equal(buffer, value) for buffer, value in self.values):
            changed.append("buffers")
        return changed

    def _state(self) -> dict[str, list[Any]]:
        modules = [] if self.network is None else list(self.network.named_modules(remove_duplicate=False))
        parameters = [] if self.network is None else list(self.network.parameters())
        return {
            "modes": [(name, getattr(module, "training", None)) for name, module in modules],
            "modules": [(name, id(module), type(module), id(vars(module).get("forward"))) for name, module in modules],
            "hooks": [tuple(getattr(module, table, ()) or ()) for _, module in modules for table in HOOKS],
            "parameters": [(id(value), _version(value), value.data_ptr()) for value in parameters],
            "flags": [value.requires_grad for value in parameters],
            "gradients": [_gradient(value) for value in parameters],
            "buffer objects": [id(value) for value in self._buffers()],
        }

    def _buffers(self) -> list[Tensor]:
        return [] if self.network is None else list(self.network.buffers())


def _version(value: Tensor) -> int:
    return -1 if value.is_inference() else value._version


def _gradient(value: Tensor) -> tuple[int, int] | None:
    gradient = value.grad
    return None if gradient is None else (id(gradient), _version(gradient))
